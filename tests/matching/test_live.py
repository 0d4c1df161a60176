"""Live queries: confirmed only when right, and given up for unknown music."""

import numpy as np
import pytest

from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import Answer, Match
from grafprint.matching.live import LiveQuery
from tests.conftest import EXAMPLES
from tests.paths import ASSETS


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.open(ASSETS / "library")


def answered(query: LiveQuery) -> tuple[Answer, Match]:
    assert query.answer is not None and query.answer.best is not None
    return query.answer, query.answer.best


def pieces(samples: np.ndarray, piece_s: float = 0.5) -> list[np.ndarray]:
    size = round(piece_s * audio.SAMPLE_RATE)
    return [samples[i : i + size] for i in range(0, len(samples), size)]


def test_live_fingerprints_are_those_of_the_whole(fingerprinter: Fingerprinter):
    samples = audio.load(EXAMPLES / "engine.opus")
    live = fingerprinter.live()
    parts = [live.push(piece) for piece in pieces(samples, 0.37)]
    whole = fingerprinter(samples)
    streamed = np.concatenate(parts)
    assert len(whole) - len(streamed) in (0, 1)
    cosines = (streamed * whole[: len(streamed)]).sum(axis=1)
    assert cosines.min() > 0.99
    assert all(len(part) for part in parts[4:])  # none is held back


def test_a_known_track_is_confirmed_within_seconds(library, fingerprinter):
    query = LiveQuery(library, fingerprinter)
    for piece in pieces(audio.load(EXAMPLES / "engine.opus")):
        query.push(piece)
        if query.over:
            break
    assert query.confirmed and 2.5 <= query.heard_s < 7
    answer, best = answered(query)
    assert best.track.title == "Randomness Decides"
    assert best.start_s - answer.query_start_s == pytest.approx(40.9, abs=0.1)


def test_only_the_latest_seconds_count(library, fingerprinter):
    """Unknown music for some seconds, then a track."""
    unknown = audio.load(EXAMPLES / "unknown.opus")
    track = library.tracks("Randomness")[0]  # it does not repeat itself
    path = library.audio_path(track)
    assert path is not None
    music = audio.load(path, start_s=30, duration_s=15)
    sound = np.concatenate([unknown, unknown[: 5 * audio.SAMPLE_RATE], music])
    query = LiveQuery(library, fingerprinter)
    for piece in pieces(sound):
        query.push(piece)
        if query.over:
            break
    answer, best = answered(query)
    assert query.confirmed and best.track == track
    began_s = len(unknown) / audio.SAMPLE_RATE + 5
    assert best.start_s - answer.query_start_s == pytest.approx(30 - began_s, abs=0.1)
    # Confirmed soon after the track began, not before.
    assert began_s + 2 < query.heard_s < began_s + 12


def test_a_query_of_unknown_music_gives_up(library, fingerprinter):
    unknown = audio.load(EXAMPLES / "unknown.opus")
    query = LiveQuery(library, fingerprinter)
    for piece in pieces(np.tile(unknown, 5)):
        query.push(piece)
        if query.over:
            break
    assert not query.confirmed and query.heard_s == pytest.approx(30, abs=0.5)


def test_silence_is_waited_out(library, fingerprinter):
    query = LiveQuery(library, fingerprinter)
    for piece in pieces(np.zeros(4 * audio.SAMPLE_RATE, np.float32)):
        assert query.push(piece) is None
    assert query.answer is None and not query.over
