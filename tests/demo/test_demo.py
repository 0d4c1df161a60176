"""The app's texts for answers and problems, and its start, without a browser."""

import base64
import io
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from mutagen import flac
from PIL import Image
from scipy.io import wavfile
from scipy.signal import resample_poly

from demo import cards, clips, covers, links, plots, texts
from demo.clips import ClipError
from demo.identifier import Identifier
from demo.identify import finds, oddities
from demo.identify.page import Page, page_for
from demo.library.contents import contents
from demo.studio import Studio
from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, Track
from grafprint.matching import Answer, Match
from grafprint.models.features import FeatureConfig
from tests.paths import ASSETS

TRACK = Track(
    1, "a.opus", "hash", 75.0, "Title", "Artist", "Album", "CC-BY-4.0", "https://a.org/", 0, 9
)


@pytest.fixture(scope="module")
def identifier(fingerprinter: Fingerprinter) -> Identifier:
    return Identifier(Library.open(ASSETS / "library"), fingerprinter)


def answer_of(
    track: Track = TRACK, start_s: float = 31.3, used_from_s: float = 0.0, used_s: float = 7.0
) -> tuple[Answer, Match]:
    match = Match(track, start_s, 0.8, 0.99, np.full(9, 0.8, np.float32))
    return Answer([match], True, 0.5, 0.8, used_from_s, used_s), match


def test_the_position_in_the_track_is_given_in_minutes():
    assert cards.where(*answer_of()) == "Your clip begins at <b>0:31</b> of 1:15"


def test_the_used_part_of_a_long_clip_is_named():
    text = cards.where(*answer_of(used_from_s=65.0, used_s=30.0))
    assert text == ("The loudest 30 s of your clip, from 1:05 on, begin at <b>0:31</b> of 1:15")


def test_a_clip_may_begin_before_the_track():
    assert "begins <b>0:02</b> before the track" in cards.where(*answer_of(start_s=-2.1))
    assert texts.clock(-2.1) == "−0:02" and texts.clock(-0.2) == "0:00"
    assert texts.clock(59.6) == "1:00"


def test_tags_cannot_add_to_the_page():
    bad = "<img src=x onerror=alert(1)>"
    track = replace(TRACK, title=bad, artist=bad, album=bad, licence=bad, source="javascript:x()")
    answer, match = answer_of(track)
    for html in (
        cards.found(answer, match),
        cards.unknown(match),
        cards.candidates(answer),
        contents([track]),
        cards.problem(bad),
    ):
        assert "<img" not in html and "href" not in html
    quoted = replace(TRACK, source='https://a.org/"onclick="x()')
    assert '"onclick' not in contents([quoted])


def test_only_a_part_of_a_large_library_is_listed():
    html = contents([TRACK] * (texts.MOST_LISTED + 7))
    assert html.count("<tr>") == texts.MOST_LISTED + 1 and "and 7 more" in html


def test_the_plot_is_a_labelled_picture_even_with_gaps():
    scores = np.array([0.8, np.nan, 0.6], np.float32)
    logmel = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
    drawn = plots.alignment(logmel, logmel[:30], scores, FeatureConfig(), 0.5, 31.0)
    root = ElementTree.fromstring(drawn)
    assert root.tag.endswith("svg") and root.get("role") == "img"
    assert "0.70 on average" in (root.get("aria-label") or "")


def page_of(identifier: Identifier, file: Path) -> Page:
    return page_for(identifier, clips.from_file(str(file)))


def test_a_missing_clip_is_an_error():
    with pytest.raises(ClipError, match="no clip"):
        clips.from_file(None)


def test_a_clip_of_a_track_includes_the_music_before_it(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = clips.from_track(identifier.library, track, 20.0, 3.0)
    whole = clips.from_track(identifier.library, track, 18.0, 5.0)
    assert clip.duration_s == 3.0 and clip.place == (track.id, 20.0)
    np.testing.assert_array_equal(np.concatenate([clip.past, clip.samples]), whole.samples)
    assert len(clips.from_track(identifier.library, track, 0.5, 3.0).past) == 8000
    with pytest.raises(ClipError, match="before the start"):
        clips.from_track(identifier.library, track, 9999.0, 3.0)


def test_a_clip_of_a_minute_is_located(identifier: Identifier, tmp_path: Path):
    """Near silence, then 32 s of a track from 0:20 on, which contain the 30 s that are used."""
    track = identifier.library.tracks("Musicbox")[0]
    path = identifier.library.audio_path(track)
    assert path is not None
    music = audio.load(path, start_s=20, duration_s=32)
    rng = np.random.default_rng(0)
    clip = rng.normal(0, 1e-4, 60 * audio.SAMPLE_RATE).astype(np.float32)
    clip[28 * audio.SAMPLE_RATE : 60 * audio.SAMPLE_RATE] += music
    wavfile.write(tmp_path / "long.wav", audio.SAMPLE_RATE, clip)
    answer = identifier.answer(clips.from_file(str(tmp_path / "long.wav")))
    assert answer.best is not None and answer.best.track == track
    expected = 20 + answer.query_start_s - 28
    assert answer.best.start_s == pytest.approx(expected, abs=0.1)
    assert "The loudest 30 s" in page_of(identifier, tmp_path / "long.wav").card


def test_an_answer_does_not_need_the_audio_of_the_track(
    fingerprinter: Fingerprinter, tmp_path: Path
):
    """A library copied without its music still identifies clips."""
    shutil.copytree(ASSETS / "library", tmp_path / "library")
    with Library.open(tmp_path / "library") as library:
        page = page_of(Identifier(library, fingerprinter), ASSETS / "examples" / "cafe.opus")
    assert "Musicbox" in page.card and page.candidates
    assert page.reference is None and not page.evidence and not page.sounds


def test_clip_and_track_are_compared_at_the_same_moment(identifier: Identifier):
    """This clip begins before its track, so silence is put before the track."""
    track = identifier.library.tracks("Randomness")[0]
    music = clips.from_track(identifier.library, track, 0.0, 4.0).samples
    early = np.random.default_rng(0).normal(0, 1e-3, 2 * audio.SAMPLE_RATE).astype(np.float32)
    page = page_for(identifier, clips.Clip(np.concatenate([early, music]), "early"))
    assert "before the track" in page.card and page.reference is not None
    played, reference = (
        wavfile.read(io.BytesIO(base64.b64decode(uri.split(",")[1])))[1].astype(np.float32)
        for uri in json.loads(page.sounds)
    )
    part = played[3 * 16_000 : 5 * 16_000]
    lag = np.argmax(np.correlate(reference[: len(played)], part, "valid"))
    assert lag == pytest.approx(3 * 16_000, abs=800)


class BrokenFingerprinter(Fingerprinter):
    """Raises an unexpected error."""

    def __call__(self, audio: np.ndarray) -> np.ndarray:
        raise KeyError("/secret/path")


def test_an_unexpected_error_goes_to_the_log(
    identifier: Identifier, caplog: pytest.LogCaptureFixture
):
    working = identifier.fingerprinter
    broken = BrokenFingerprinter(working.encoder, working.features)
    broken.model_id = working.model_id
    page = page_of(Identifier(identifier.library, broken), ASSETS / "examples" / "cafe.opus")
    assert "The program failed" in page.card and "secret" not in page.card
    assert "secret" in caplog.text


def rival_of(match: Match, **changes: Any) -> Match:
    return replace(match, track=replace(TRACK, id=2, title="Other"), **changes)


def test_a_lead_over_nothing_is_not_mentioned():
    answer, match = answer_of()
    assert "ahead" not in cards.found(replace(answer, lead=None), match)
    led = replace(answer, matches=[match, rival_of(match, score=0.5)], lead=0.3)
    assert "0.30 ahead of other music" in cards.found(led, match)


def test_landmarks_stand_beside_the_scores_that_they_change():
    answer, match = answer_of()
    assert "Landmarks" not in cards.candidates(answer)
    heard = replace(match, landmarks=0.41)
    led = replace(answer, matches=[heard, rival_of(match, score=0.1, landmarks=0.02)], lead=0.8)
    assert "with landmarks 0.80 ahead of other music" in cards.found(led, heard)
    assert "Landmarks" in cards.candidates(led)
    assert '<td class="n">0.41</td>' in cards.candidates(led)


def test_the_matching_part_of_a_clip_is_named():
    text = cards.where(*answer_of(used_from_s=3.0, used_s=6.0), part_of_s=15.0)
    assert text == "Your clip from 0:03 to 0:09 begins at <b>0:31</b> of 1:15"


def heard_at(identifier: Identifier, speed: Fraction, start_s: float = 20.0) -> str:
    """The remarks on 8 s of a track played at another speed."""
    track = identifier.library.tracks("Hypatia")[0]
    music = clips.from_track(identifier.library, track, start_s, 8.0 * float(speed)).samples
    played = resample_poly(music, speed.denominator, speed.numerator).astype(np.float32)
    clip = clips.Clip(played, "played")
    return oddities.remarks(identifier, clip, identifier.answer(clip))


def test_a_clip_at_another_speed_is_told(identifier: Identifier):
    assert "about 3 % fast" in heard_at(identifier, Fraction(103, 100))
    assert "about 3 % slow" in heard_at(identifier, Fraction(97, 100))
    assert heard_at(identifier, Fraction(1)) == ""


def test_several_tracks_and_parts_of_a_clip_are_told(identifier: Identifier):
    tracks = [identifier.library.tracks(name)[0] for name in ("Hypatia", "Musicbox")]
    first, second = (
        clips.from_track(identifier.library, t, 20.0, s).samples
        for t, s in zip(tracks, (14.0, 10.0), strict=True)
    )
    both = clips.Clip(np.concatenate([first, second]), "both")
    text = oddities.remarks(identifier, both, identifier.answer(both))
    assert "More than one track" in text and tracks[1].title in text
    hiss = np.random.default_rng(0).normal(0, 0.1, 6 * audio.SAMPLE_RATE).astype(np.float32)
    part = clips.Clip(np.concatenate([first, hiss]), "part")
    text = oddities.remarks(identifier, part, identifier.answer(part))
    assert "Only the part from 0:00 to 0:15 matches" in text


def test_a_long_file_says_which_part_was_used_and_offers_a_scan(tmp_path: Path):
    quiet = np.full(70 * audio.SAMPLE_RATE, 100, np.int16)
    quiet[30 * audio.SAMPLE_RATE :: 7] = 9000
    wavfile.write(tmp_path / "long.wav", audio.SAMPLE_RATE, quiet)
    clip = clips.from_file(str(tmp_path / "long.wav"))
    text = oddities.about_length(clip)
    assert "loudest 30 s of your 1:10 min" in text and "Scan it" in text
    assert "Scan" not in oddities.about_length(replace(clip, whole_s=45.0))
    assert oddities.about_length(replace(clip, whole_s=30.0)) == ""


def test_covers_are_small_and_anything_else_is_none(tmp_path: Path):
    audio_file = tmp_path / "cover.flac"
    with av.open(audio_file, "w") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), "s16", "mono")
        frame.sample_rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode()])
    assert covers.cover(audio_file) == "" and covers.cover(None) == ""
    packed = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(packed, "PNG")
    tagged = flac.FLAC(audio_file)
    for data in (packed.getvalue(), b"no picture"):
        picture = flac.Picture()
        picture.type, picture.mime, picture.data = 3, "image/png", data
        tagged.clear_pictures()
        tagged.add_picture(picture)
        tagged.save()
        uri = covers.cover(audio_file)
        if data == b"no picture":
            assert uri == ""
        else:
            with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as small:
                assert small.size == (240, 160) and len(uri) < 100_000


def test_links_are_read_as_they_are_written():
    find = links.Find("Demo music", 7, 31.3)
    address = links.address("identify", find.library, find.track, find.at_s)
    assert links.read(address, "home") == links.Link("identify", "Demo music", find)
    assert links.read("?tab=map&library=mine", "home") == links.Link("map", "mine")
    assert links.read("?track=x&at=inf", "home") == links.Link()
    assert links.read("?track=7&at=nan", "home").find is None


@pytest.mark.parametrize("bad", [None, {}, {"library": 1, "track": 1, "start_s": 1.0}])
def test_a_malformed_find_is_not_replayed(studio: Studio, bad: Any):
    assert "no find" in finds.replay(studio, bad)["problem"]


def test_a_find_is_replayed_from_its_moment(studio: Studio):
    track = studio.identifier().library.tracks("Musicbox")[0]
    wanted = {"library": "Demo music", "track": track.id, "start_s": 31.0}
    assert finds.replay(studio, wanted)["sound"].startswith("data:audio/wav")
    assert "problem" in finds.replay(studio, {**wanted, "track": 10**30})
    assert "no library" in finds.replay(studio, {**wanted, "library": "../etc"})["problem"]
