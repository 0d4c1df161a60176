"""Long recordings: mixes of known tracks, with cross-fades, speech, gaps and unknown music."""

import csv
import io
import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import resample_poly

from grafprint import audio
from grafprint.audio import SAMPLE_RATE as RATE
from grafprint.degradation.synthetic_noise import cafe
from grafprint.evaluation.mixes import Mix
from grafprint.library import Library
from grafprint.matching import MatchError
from grafprint.scan import Gap, Scan, TimelineConfig, export, gaps, scan
from grafprint.scan.plays import Play, merge_rivals
from grafprint.scan.timeline import Timeline
from tests.paths import ASSETS

STRANGER = 5  # the track that is removed from the library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The bundled library without one track."""
    folder = tmp_path_factory.mktemp("assets")
    shutil.copytree(ASSETS / "library", folder / "library")
    (folder / "music").symlink_to(ASSETS / "music")
    with Library.open(folder / "library", writable=True) as opened:
        opened.remove(opened.tracks()[STRANGER].id)
    with Library.open(folder / "library") as opened:
        yield opened


@pytest.fixture(scope="module")
def stranger():
    with Library.open(ASSETS / "library") as opened:
        path = opened.audio_path(opened.tracks()[STRANGER])
    assert path is not None
    return audio.load(path, start_s=5, duration_s=15)


@pytest.fixture(scope="module")
def show(library, stranger, tmp_path_factory):
    """A radio show of two minutes: a cross-fade, speech, unknown music, silence, a repeat."""
    tracks = library.tracks()
    mix = Mix(library)
    mix.play(tracks[0], 8, 20)
    mix.play(tracks[3], 0, 25, fade_s=3)
    mix.talk_over(mix.length_s - 15, cafe(8 * RATE, np.random.default_rng(0)))
    mix.add(stranger)
    mix.play(tracks[8], 20, 16)
    mix.silence(6)
    mix.play(tracks[0], 8, 15)
    path = tmp_path_factory.mktemp("shows") / "show.wav"
    mix.write(path)
    return path, mix


@pytest.fixture(scope="module")
def found(library, fingerprinter, show):
    return scan(library, fingerprinter, show[0])


def test_every_track_is_found_where_it_plays_and_nothing_else(found, show):
    parts = show[1].parts
    assert [play.track for play in found.plays] == [part.track for part in parts]
    for play, part in zip(found.plays, parts, strict=True):
        assert play.start_s == pytest.approx(part.start_s, abs=3)  # the cross-fade's length
        assert play.end_s == pytest.approx(part.end_s, abs=3)
        offset_s = part.track_start_s - part.start_s
        assert play.track_start_s - play.start_s == pytest.approx(offset_s, abs=0.1)
        assert play.track_end_s - play.track_start_s == pytest.approx(
            (play.end_s - play.start_s) * play.speed, abs=0.1
        )
        assert play.speed == pytest.approx(1, abs=0.005) and 0.5 < play.score <= 1


def test_hard_cuts_are_found_within_half_a_second(found, show):
    parts = show[1].parts
    assert found.plays[2].start_s == pytest.approx(parts[2].start_s, abs=0.5)
    assert found.plays[2].end_s == pytest.approx(parts[2].end_s, abs=0.5)
    assert found.plays[0].start_s == 0
    assert found.plays[-1].end_s == pytest.approx(found.duration_s, abs=0.1)


def test_the_rest_is_gaps(found, show):
    assert found.duration_s == pytest.approx(show[1].length_s, abs=0.01)
    unknown, silence = found.gaps
    assert not unknown.silent and 12 < unknown.end_s - unknown.start_s < 18
    assert silence.silent and silence.end_s - silence.start_s == pytest.approx(6, abs=1)
    assert [e.start_s for e in found.entries] == sorted(e.start_s for e in found.entries)


def test_an_interrupted_scan_is_resumed(library, fingerprinter, show, found, tmp_path, monkeypatch):
    monkeypatch.setattr("grafprint.scan.recording.KEEP_EVERY_S", 1.0)
    state, seen = tmp_path / "state.json", []

    def stop(scan, share):
        seen.append(scan.duration_s)
        assert share == pytest.approx(scan.duration_s / found.duration_s, abs=0.01)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(library, fingerprinter, show[0], state=state, on_progress=stop)
    assert state.is_file()
    again = []
    resumed = scan(
        library,
        fingerprinter,
        show[0],
        state=state,
        on_progress=lambda s, _: again.append(s.duration_s),
    )
    assert again[0] > seen[1] and not state.exists()
    assert resumed.duration_s == found.duration_s
    for ours, theirs in zip(resumed.plays, found.plays, strict=True):
        assert ours.track == theirs.track
        assert ours.start_s == pytest.approx(theirs.start_s, abs=0.2)
        assert ours.end_s == pytest.approx(theirs.end_s, abs=0.2)
    assert resumed.gaps == pytest.approx(found.gaps) or len(resumed.gaps) == len(found.gaps)


@pytest.mark.parametrize("damage", ["{", "{}", '{"recording": ["other.wav", 1]}', "[1]"])
def test_a_state_of_something_else_is_refused(library, fingerprinter, show, tmp_path, damage):
    state = tmp_path / "state.json"
    state.write_text(damage)
    with pytest.raises(ValueError, match="delete it to start again"):
        scan(library, fingerprinter, show[0], state=state)
    assert state.read_text() == damage


def test_a_timeline_does_not_depend_on_how_fingerprints_are_split(library, fingerprinter, show):
    vectors = fingerprinter(show[1].samples)
    whole, pieces = Timeline(library), Timeline(library)
    expected = [*whole.push(vectors), *whole.finish()]
    kept = pieces._recent._kept
    plays = []
    for part in np.array_split(vectors, 97):
        plays += pieces.push(part)
        assert len(pieces._recent.vectors) <= kept
    plays += pieces.finish()
    assert {p.track.id for p in plays} == {p.track.id for p in expected}
    assert pieces.heard_s == whole.heard_s
    assert len(merge_rivals(plays)) == len(merge_rivals(expected))


def test_what_plays_now_is_known_while_it_plays(library, fingerprinter, show):
    timeline = Timeline(library)
    timeline.push(fingerprinter(show[1].samples[: 12 * RATE]))
    (playing,) = timeline.playing
    assert playing.track == show[1].parts[0].track
    assert playing.start_s == 0 and playing.end_s == pytest.approx(timeline.heard_s, abs=0.1)


def test_the_speed_of_a_play_is_reported(library, fingerprinter, tmp_path):
    track = library.tracks()[10]
    part = audio.load(library.audio_path(track), start_s=2, duration_s=40)
    path = tmp_path / "faster.wav"
    wavfile.write(path, RATE, resample_poly(part, 100, 101).astype(np.float32))  # 1 % faster
    plays = scan(library, fingerprinter, path).plays
    assert {play.track.id for play in plays} == {track.id}
    longest = max(plays, key=lambda p: p.end_s - p.start_s)
    assert longest.speed == pytest.approx(1.01, abs=0.003)
    assert longest.track_start_s == pytest.approx(2 + longest.start_s * 1.01, abs=0.5)


def test_a_jump_within_a_track_is_two_plays(library, fingerprinter, tmp_path):
    track = library.tracks()[12]
    mix = Mix(library)
    mix.play(track, 2, 14)
    mix.play(track, 30, 14)
    path = tmp_path / "jump.wav"
    wavfile.write(path, RATE, mix.samples)
    plays = scan(library, fingerprinter, path).plays
    assert [play.track.id for play in plays] == [track.id] * 2
    assert plays[0].track_start_s == pytest.approx(2, abs=0.5)
    assert plays[1].track_start_s - plays[1].start_s == pytest.approx(30 - 14, abs=0.3)


def test_a_recording_of_unknown_music_is_one_gap(library, fingerprinter, stranger, tmp_path):
    path = tmp_path / "stranger.wav"
    wavfile.write(path, RATE, stranger)
    result = scan(library, fingerprinter, path)
    assert result.plays == [] and len(result.gaps) == 1
    assert result.gaps[0].end_s == pytest.approx(15, abs=0.1)


def test_short_and_bad_recordings(library, fingerprinter, tmp_path):
    path = tmp_path / "short.wav"
    wavfile.write(path, RATE, np.ones(RATE // 2, np.float32))
    with pytest.raises(ValueError, match="at least 1 s"):
        scan(library, fingerprinter, path)
    with pytest.raises(audio.AudioError, match="no such file"):
        scan(library, fingerprinter, tmp_path / "none.wav")
    Library.create(tmp_path / "empty", fingerprinter).close()
    with Library.open(tmp_path / "empty") as empty, pytest.raises(MatchError, match="empty"):
        Timeline(empty)


# Plays and formats ----------------------------------------------------------------------------


def play(library, number: int, start_s: float, end_s: float, score: float = 0.9) -> Play:
    return Play(library.tracks()[number], start_s, end_s, 0.0, end_s - start_s, 1.0, score)


def test_two_tracks_with_the_same_music_are_alternatives(library):
    one, same, short = play(library, 0, 0, 30), play(library, 1, 1, 30), play(library, 2, 5, 9)
    after = play(library, 3, 28, 60)
    first, second = merge_rivals([after, same, short, one])
    assert first.track == one.track and second == after
    assert {t.id for t in first.alternatives} == {same.track.id, short.track.id}
    assert [a["track"] for a in first.to_json()["alternatives"]] == [
        t.id for t in first.alternatives
    ]


def test_plays_survive_a_round_trip_through_json(library):
    one = replace(play(library, 0, 0, 30), alternatives=(library.tracks()[1],))
    assert Play.of_numbers(library, json.loads(json.dumps(one.numbers()))) == one


def test_gaps_and_silence(library):
    plays = [play(library, 0, 5, 20), play(library, 1, 18, 30), play(library, 2, 31, 40)]
    assert gaps(plays, [(0.0, 4.9)], 60.0) == [Gap(0.0, 5, True), Gap(40, 60.0, False)]
    assert gaps([], [], 1.0) == []


@pytest.fixture
def made(library):
    plays = [play(library, 0, 12.5, 75.25), play(library, 1, 74, 100)]
    named = replace(plays[0].track, title='A "fine"\ntrack, really', artist="Ä")
    plays[0] = replace(plays[0], track=named, alternatives=(library.tracks()[2],))
    return Scan("shows/my show.mp3", 130.0, plays, gaps(plays, [(100, 131)], 130.0))


def test_csv(made):
    rows = list(csv.DictReader(io.StringIO(export.to_csv(made))))
    assert [row["title"] for row in rows][1] == 'A "fine"\ntrack, really'
    assert [row["start_s"] for row in rows] == ["0.0", "12.5", "74", "100"]
    assert rows[0]["title"] == "" and rows[3]["title"] == "(silence)"
    assert rows[1]["alternatives"] == made.plays[0].alternatives[0].title


def test_cue_sheets(made):
    lines = export.to_cue(made).splitlines()
    assert lines[0] == 'FILE "my show.mp3" MP3'
    assert lines[1:4] == ["  TRACK 01 AUDIO", '    TITLE "Unknown"', "    INDEX 01 00:00:00"]
    assert "    TITLE \"A 'fine' track, really\"" in lines and '    PERFORMER "Ä"' in lines
    starts = [line.split()[-1] for line in lines if "INDEX" in line]
    assert starts == ["00:00:00", "00:12:38", "01:14:00", "01:40:00"]
    assert all(a < b for a, b in pairwise(starts))


def test_tables_of_several_recordings_say_which(made):
    rows = list(csv.DictReader(io.StringIO(export.to_csv(made, recording=True))))
    assert {row["recording"] for row in rows} == {"shows/my show.mp3"} and len(rows) == 4
    more = export.to_csv(made, recording=True, header=False)
    assert "recording" not in more and more.count("shows/my show.mp3") == 4


def test_labels(made):
    rows = [line.split("\t") for line in export.to_labels(made).splitlines()]
    assert rows[0] == ["0.000000", "12.500000", "(unknown)"]
    assert rows[1] == ["12.500000", "75.250000", 'Ä - A "fine" track, really']
    assert rows[3] == ["100.000000", "130.000000", "(silence)"]


def test_chapters(made):
    lines = export.to_chapters(made).splitlines()
    assert lines[0] == "00:00:00.000 (unknown)"
    assert lines[1] == '00:00:12.500 Ä - A "fine" track, really'
    late = replace(made, plays=[replace(made.plays[0], start_s=3661.0, end_s=3700.0)], gaps=[])
    late.plays.insert(0, made.plays[1])
    assert export.to_chapters(late).splitlines()[1].startswith("01:01:01.000 ")


def test_json(made):
    value = json.loads(json.dumps(made.to_json()))
    assert [e["title"] is None for e in value["entries"]] == [True, False, False, True]
    assert value["entries"][3]["silent"] is True


def test_the_configuration_is_kept_with_the_state(library, fingerprinter, show):
    timeline = Timeline(library)
    timeline.push(fingerprinter(show[1].samples[: 10 * RATE]))
    state = json.loads(json.dumps(timeline.state()))
    assert Timeline.resumed(library, state).playing == timeline.playing
    with pytest.raises(ValueError, match="other settings"):
        Timeline.resumed(library, state, TimelineConfig(look_s=4.0))
    assert Path(library.path).is_dir()
