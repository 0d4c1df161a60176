"""Music that is played faster or slower than it is in the library."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import resample_poly
from typer.testing import CliRunner

from grafprint import audio
from grafprint.audio import SAMPLE_RATE as RATE
from grafprint.cli import app
from grafprint.errors import DataError
from grafprint.evaluation.mixes import Mix
from grafprint.library import Library
from grafprint.matching import identify_audio, identify_file
from grafprint.scan import OTHER_SPEEDS, TimelineConfig, recording, scan, scans
from grafprint.scan.config import less_sure, surer
from grafprint.scan.other_speeds import Slowing, identify_at_other_speeds
from grafprint.scan.passes import Pass
from grafprint.scan.plays import Play, add_plays
from grafprint.scan.timeline import Timeline
from tests.paths import ASSETS

SPEED = 1.06


@pytest.fixture(scope="module")
def library():
    with Library.open(ASSETS / "library") as opened:
        yield opened


def faster(samples: np.ndarray, speed: float) -> np.ndarray:
    return resample_poly(samples, 100, round(100 * speed)).astype(np.float32)


@pytest.fixture(scope="module")
def fast_set(library, tmp_path_factory):
    """Ten seconds of a track at its own speed, silence, then twelve of another one 6 % faster."""
    tracks = library.tracks()
    mix = Mix(library)
    mix.play(tracks[3], 5, 10)
    mix.silence(3)
    mix.add(faster(audio.load(library.audio_path(tracks[0]), start_s=8, duration_s=13), SPEED))
    path = tmp_path_factory.mktemp("sets") / "set.wav"
    mix.write(path)
    return path


@pytest.fixture(scope="module")
def found(library, fingerprinter, fast_set):
    return scan(library, fingerprinter, fast_set, speeds=OTHER_SPEEDS)


@pytest.fixture(scope="module")
def clip(library, tmp_path_factory):
    """Eight seconds of a track, 8 % slower."""
    mix = Mix(library)
    mix.add(
        faster(audio.load(library.audio_path(library.tracks()[0]), start_s=8), 0.92)[: 8 * RATE]
    )
    path = tmp_path_factory.mktemp("clips") / "slow.wav"
    mix.write(path)
    return path


def test_music_six_percent_faster_is_found_at_its_time_and_speed(library, found):
    own, fast = found.plays
    assert [own.track, fast.track] == [library.tracks()[3], library.tracks()[0]]
    assert own.speed == 1 and own.end_s == pytest.approx(10, abs=1)
    assert fast.speed == pytest.approx(SPEED, abs=0.006)
    assert fast.start_s == pytest.approx(13, abs=1)
    assert fast.end_s == pytest.approx(found.duration_s, abs=1)
    for at_s in (fast.start_s, fast.end_s):
        expected_s = 8 + (at_s - 13) * SPEED
        in_track_s = fast.track_start_s + (at_s - fast.start_s) * fast.speed
        assert in_track_s == pytest.approx(expected_s, abs=0.2)


def test_without_other_speeds_it_is_a_gap(library, fingerprinter, fast_set, found):
    plain = scan(library, fingerprinter, fast_set)
    assert plain.plays == found.plays[:1]
    (unknown,) = plain.gaps
    assert not unknown.silent and unknown.end_s == found.duration_s
    assert sum(gap.end_s - gap.start_s for gap in found.gaps) < 4  # the silence


def test_a_scan_is_interrupted_and_resumed_at_any_speed(
    library, fingerprinter, fast_set, found, tmp_path, monkeypatch
):
    monkeypatch.setattr(recording, "KEEP_EVERY_S", 1.0)
    monkeypatch.setattr("grafprint.scan.passes.CHUNK_S", 4.0)
    state, shares = tmp_path / "state.json", [0.0]
    kept_in: set[int] = set()
    for _ in range(40):  # a few steps at a time
        steps = scans(library, fingerprinter, fast_set, speeds=OTHER_SPEEDS, state=state)
        for number, (so_far, share) in enumerate(steps):
            assert 0 < share <= 1
            shares.append(share)
            result = so_far
            if state.exists():
                kept_in.add(json.loads(state.read_text())["pass"])
            if number == 3:
                steps.close()
        if shares[-1] == 1 and not state.exists():
            break
    assert kept_in == {0, 1}  # all is known then
    assert [play.track for play in result.plays] == [play.track for play in found.plays]
    for ours, theirs in zip(result.plays, found.plays, strict=True):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=0.3)
        assert ours.end_s == pytest.approx(theirs.end_s, abs=0.3)
        assert ours.speed == pytest.approx(theirs.speed, abs=0.005)


def test_a_state_of_other_speeds_is_refused(
    library, fingerprinter, fast_set, tmp_path, monkeypatch
):
    monkeypatch.setattr(recording, "KEEP_EVERY_S", 1.0)
    monkeypatch.setattr("grafprint.scan.passes.CHUNK_S", 8.0)
    state = tmp_path / "state.json"
    for _ in scans(library, fingerprinter, fast_set, speeds=(1.05,), state=state):
        if state.exists() and json.loads(state.read_text())["pass"] == 1:
            break
    with pytest.raises(DataError, match="other speeds"):
        scan(library, fingerprinter, fast_set, speeds=OTHER_SPEEDS, state=state)


def test_only_the_parts_are_fingerprinted(library, fingerprinter, fast_set):
    class Noting(Timeline):
        def push(self, fingerprints: np.ndarray) -> list[Play]:
            pushed.append(fingerprints)
            return super().push(fingerprints)

    pushed: list[np.ndarray] = []
    one = Pass(Noting(library), 1.05, ((2.0, 5.0), (15.0, 18.5)))
    list(one.run(fingerprinter, fast_set))
    vectors = np.concatenate(pushed)
    sounding = np.flatnonzero(vectors.any(axis=1)) * fingerprinter.hop_s / 1.05
    hop_s = fingerprinter.hop_s
    assert sounding[0] == pytest.approx(2, abs=hop_s)
    assert sounding[-1] == pytest.approx(18.5 - 1 / 1.05, abs=2 * hop_s)
    assert not ((sounding > 5) & (sounding < 15 - hop_s)).any()
    # What is silent lies in a part.
    assert one.silences == []


def test_a_clip_is_identified_with_its_speed(library, fingerprinter, clip):
    plain = identify_file(library, fingerprinter, clip)
    assert not plain.identified
    answer = identify_at_other_speeds(library, fingerprinter, clip, plain)
    assert answer.identified and answer.best is not None
    assert answer.best.track == library.tracks()[0]
    assert answer.best.start_s == pytest.approx(8, abs=0.2)
    assert answer.to_json()["speed"] == pytest.approx(0.92, abs=0.005)
    assert answer.query_start_s == 0 and answer.query_duration_s == pytest.approx(8, abs=0.01)
    # Three looks need more than one at the same sound.
    slowed = Slowing(OTHER_SPEEDS[1])(audio.load(clip))
    assert answer.threshold > identify_audio(library, fingerprinter, slowed).threshold
    assert answer.best.confidence <= 1
    # A match is kept, and so is an answer for which there is none.
    assert identify_at_other_speeds(library, fingerprinter, clip, answer) is answer
    nothing = identify_at_other_speeds(library, fingerprinter, clip, plain, speeds=(1.05,))
    assert nothing is plain


def test_the_commands_say_the_speed(clip, fast_set, tmp_path):
    def run(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    assert run("identify", clip).exit_code == 1
    told = run("identify", clip, "--other-speeds")
    assert told.exit_code == 0 and "% slower" in told.stdout

    shutil.copy(fast_set, tmp_path / "set.wav")
    asked = ("scan", tmp_path / "set.wav", "--out", tmp_path / "out")
    assert run(*asked).exit_code == 0
    result = tmp_path / "out" / "set.wav.json"
    assert len([e for e in json.loads(result.read_text())["entries"] if e["title"]]) == 1
    told = run(*asked, "--other-speeds")
    assert told.exit_code == 0 and re.search(r"\+[56]\.\d %", told.stdout)
    stored = json.loads(result.read_text())
    assert stored["other_speeds"] == list(OTHER_SPEEDS)
    assert len([entry for entry in stored["entries"] if entry["title"]]) == 2
    for options in ((), ("--other-speeds",)):
        assert "hasbeenscanned" in "".join(run(*asked, *options).stderr.split())


def test_audio_is_slowed_down_in_pieces_without_seams():
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    slowing = Slowing(1.05)
    slowed = slowing(tone)
    assert len(slowed) == pytest.approx(len(tone) * slowing.speed, abs=2)
    assert slowing.speed == pytest.approx(1.05, abs=1e-4)
    spectrum = np.abs(np.fft.rfft(slowed * np.hanning(len(slowed))))
    assert spectrum.argmax() * RATE / len(slowed) == pytest.approx(1000 / 1.05, abs=1)
    pieces = np.concatenate(list(slowing.pieces(np.array_split(tone, 7))))
    assert np.allclose(pieces, slowed, atol=1e-6)
    assert np.array_equal(Slowing(1.0)(tone), tone)
    for speed in (0.4, 2.1, float("nan")):
        with pytest.raises(ValueError, match=r"between 0\.5 and 2"):
            Slowing(speed)


def test_several_looks_have_to_be_surer():
    for confidence in (0.5, 0.885, 0.99):
        needed = surer(confidence, 3)
        assert needed / (1 - needed) == pytest.approx(3 * confidence / (1 - confidence))
        assert less_sure(needed, 3) == pytest.approx(confidence)
        assert surer(confidence, 1) == pytest.approx(confidence)
    plain, strict = TimelineConfig(), TimelineConfig().for_looks(3)
    assert strict.confidence == pytest.approx(surer(None, 3)) and surer(None, 3) > 0.95
    assert strict.certain > plain.certain and strict.whole > plain.whole


def test_a_play_that_goes_on_is_one_play(library):
    track, other = library.tracks()[:2]
    first = Play(track, 10.0, 20.0, 30.0, 40.4, 1.0, 0.6)
    more = Play(track, 19.8, 40.0, 40.2, 61.4, 1.05, 0.9)
    (whole,) = add_plays([first], [more])
    assert (whole.start_s, whole.end_s) == (10, 40)
    assert whole.speed == 1.05 and whole.track_end_s == 61.4  # those of the longer one
    assert whole.track_start_s == pytest.approx(30, abs=0.1) and 0.6 < whole.score < 0.9
    for elsewhere in (
        replace(more, track=other),
        replace(more, track_start_s=45.0, track_end_s=66.2),
        replace(more, start_s=28.0, end_s=48.0, track_start_s=48.6, track_end_s=69.6),
    ):
        assert len(add_plays([first], [elsewhere])) == 2
