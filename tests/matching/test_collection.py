"""Matching and scanning need no library folder: plain arrays answer the same."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import pytest

from grafprint import audio
from grafprint.errors import LibraryError
from grafprint.library import Library
from grafprint.library.records import Network, Track
from grafprint.matching import Answer, identify, identify_many
from grafprint.matching.collection import Collection
from grafprint.matching.live import LiveQuery
from grafprint.scan import Play, Timeline
from tests.conftest import EXAMPLES
from tests.libraries import unit
from tests.paths import ASSETS


class InMemory:
    """Fingerprints ``[n, dim]`` and landmarks ``[n, 8]`` in arrays: no folder, no database."""

    library_id, location, exact, has_landmarks = "arrays", "in memory", True, True

    def __init__(
        self, network: Network, tracks: dict[Track, np.ndarray], landmarks: np.ndarray
    ) -> None:
        self._landmarks = landmarks
        self.model_id, self.dim = network.model_id, network.dim
        self.hop_s, self.window_s = network.hop_s, network.window_s
        firsts = np.cumsum([0, *map(len, tracks.values())])
        self._tracks = {
            track.id: replace(track, first=int(first), count=len(vectors))
            for first, (track, vectors) in zip(firsts[:-1], tracks.items(), strict=True)
        }
        self._vectors = np.concatenate([*tracks.values()]).astype(np.float32)
        self._sounding = np.flatnonzero(self._vectors.any(axis=1))
        self._owner = np.repeat([*self._tracks], np.diff(firsts))

    @property
    def rows(self) -> int:
        return len(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)

    def check_query(self, network: Network) -> None:
        if network.model_id != self.model_id:
            raise LibraryError("fingerprints of another network")

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()

    def search(self, queries: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        products = queries @ self._vectors[self._sounding].T
        best = np.argsort(-products, axis=1)[:, : k or 20]
        return np.take_along_axis(products, best, axis=1), self._sounding[best]

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inside = (rows >= 0) & (rows < self.rows)
        ids = np.where(inside, self._owner[np.where(inside, rows, 0)], -1)
        tracks = [self._tracks.get(int(number)) for number in ids.flat]
        firsts = np.array([track.first if track else -1 for track in tracks])
        counts = np.array([track.count if track else 0 for track in tracks])
        return ids, firsts.reshape(ids.shape), counts.reshape(ids.shape)

    def track(self, track_id: int) -> Track:
        return self._tracks[track_id]

    def require_intact(self, track: Track) -> None:
        pass

    def prefetch_landmarks(self, firsts: np.ndarray) -> None:
        pass

    def landmarks(self, first: int, end: int) -> np.ndarray:
        return self._landmarks[first:end]

    def tracks_rows(self) -> tuple[np.ndarray, np.ndarray]:
        tracks = self._tracks.values()
        return np.array([t.first for t in tracks]), np.array([t.count for t in tracks])

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        pass

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        starts, firsts, counts = places[:, :, None]
        rows = starts + positions
        inside = (rows >= firsts) & (rows < firsts + counts)
        products = self.products(np.where(inside, rows, 0), queries)
        return np.where(inside, products, 0).sum(axis=1, dtype=np.float64), inside.sum(axis=1)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        return np.einsum("cnd,nd->cn", self._vectors[rows], queries)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        return self._vectors[rows]


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    with Library.open(ASSETS / "library") as opened:
        yield opened


@pytest.fixture(scope="module")
def stored(library: Library) -> dict[Track, np.ndarray]:
    return {
        track: library.vectors(np.arange(track.first, track.first + track.count))
        for track in library.tracks()
    }


@pytest.fixture(scope="module")
def collections(library, stored, fingerprinter) -> tuple[Collection, Collection]:
    """The library, and the same rows in arrays, whose tracks come in another order."""
    tracks = dict(reversed(stored.items()))
    landmarks = [library.landmarks(t.first, t.first + t.count) for t in tracks]
    return library, InMemory(fingerprinter, tracks, np.concatenate(landmarks))


def assert_equal(one: Answer | None, other: Answer | None) -> None:
    assert one is not None and other is not None
    assert one.identified == other.identified
    assert one.threshold == pytest.approx(other.threshold, abs=1e-5)
    assert one.lead == pytest.approx(other.lead, abs=1e-5)
    assert [m.track.id for m in one.matches] == [m.track.id for m in other.matches]
    for ours, theirs in zip(one.matches, other.matches, strict=True):
        assert ours.start_s == pytest.approx(theirs.start_s, abs=1e-3)
        assert ours.score == pytest.approx(theirs.score, abs=1e-5)
        assert ours.alternative == theirs.alternative
        np.testing.assert_allclose(ours.segment_scores, theirs.segment_scores, atol=1e-5)


def test_clips_get_the_same_answers(collections, stored, fingerprinter):
    """Inside a track, at both ends, with silence, degraded, absent, and of several lengths."""
    rng = np.random.default_rng(0)
    vectors = [*stored.values()]
    noisy = unit(vectors[3][50:95] + 0.06 * rng.standard_normal((45, fingerprinter.dim)))
    gap = vectors[2][10:30].copy()
    gap[3:9] = 0
    clips = [
        vectors[0][100:111],
        np.concatenate([noisy[:4], vectors[1][:12]]),
        np.concatenate([vectors[1][-12:], noisy[:4]]),
        gap,
        noisy,
        fingerprinter(audio.load(EXAMPLES / "cafe.opus")),
        fingerprinter(audio.load(EXAMPLES / "unknown.opus")),
    ]
    of_library, of_arrays = (identify_many(collection, clips) for collection in collections)
    for one, other in zip(of_library, of_arrays, strict=True):
        assert_equal(one, other)
    assert [answer.identified for answer in of_library if answer] == [True] * 6 + [False]
    for collection in collections:
        assert_equal(identify(collection, noisy), of_library[4])
        assert identify_many(collection, [np.zeros((5, fingerprinter.dim))]) == [None]


def test_a_live_query_gets_the_same_answers(collections, fingerprinter):
    samples = audio.load(EXAMPLES / "engine.opus")
    queries = [LiveQuery(collection, fingerprinter) for collection in collections]
    for piece in np.array_split(samples, 20):
        one, other = (query.push(piece) for query in queries)
        assert (one is None) == (other is None)
        if one is not None:
            assert_equal(one, other)
    assert [query.confirmed for query in queries] == [True, True]


def test_a_timeline_finds_the_same_plays(collections, stored, fingerprinter):
    rng = np.random.default_rng(1)
    vectors = [*stored.values()]
    parts = [vectors[2][100:260], np.zeros((40, fingerprinter.dim)), vectors[7][:200]]
    show = np.concatenate(parts)
    noise = 0.04 * rng.standard_normal(show.shape) * show.any(axis=1, keepdims=True)
    found: list[list[Play]] = []
    for collection in collections:
        timeline = Timeline(collection)
        timeline.push((show + noise)[:150].astype(np.float32))
        timeline = Timeline.resumed(collection, timeline.state())
        plays = timeline.push((show + noise)[150:].astype(np.float32))
        found.append([*plays, *timeline.finish()])
    assert [play.track.title for play in found[0]] == [[*stored][n].title for n in (2, 7)]
    for ours, theirs in zip(*found, strict=True):
        assert ours.track.id == theirs.track.id
        assert [t.id for t in ours.alternatives] == [t.id for t in theirs.alternatives]
        for name in ("start_s", "end_s", "track_start_s", "track_end_s", "speed", "score"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), abs=1e-3)
