"""The app's texts for answers and problems, and its start, without a browser."""

import base64
import io
import json
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from demo import cards, clips, plots
from demo.clips import ClipError
from demo.identifier import Identifier
from demo.identify.page import Page, page_for
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
    assert cards.clock(-2.1) == "−0:02" and cards.clock(-0.2) == "0:00"
    assert cards.clock(59.6) == "1:00"


def test_tags_cannot_add_to_the_page():
    bad = "<img src=x onerror=alert(1)>"
    track = replace(TRACK, title=bad, artist=bad, album=bad, licence=bad, source="javascript:x()")
    answer, match = answer_of(track)
    for html in (
        cards.found(answer, match),
        cards.unknown(match),
        cards.candidates(answer),
        cards.contents([track]),
        cards.problem(bad),
    ):
        assert "<img" not in html and "href" not in html
    quoted = replace(TRACK, source='https://a.org/"onclick="x()')
    assert '"onclick' not in cards.contents([quoted])


def test_only_a_part_of_a_large_library_is_listed():
    html = cards.contents([TRACK] * (cards.MOST_LISTED + 7))
    assert html.count("<tr>") == cards.MOST_LISTED + 1 and "and 7 more" in html


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
