"""Searching a library after additions and removals, with synthetic fingerprints."""

import json
import mmap
import os
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from grafprint.library import Library, index_keeper, index_tuning, vectors
from grafprint.library.vectors import VectorStore
from grafprint.matching import identify
from tests.libraries import DIM, Network, fill, unit, walk


def test_a_write_compacts_when_much_is_dead(tmp_path):
    tracks = [walk(np.random.default_rng(n), 20) for n in range(5)]
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, tracks)
        library.remove(1)
    with Library.open(tmp_path / "library", writable=True) as library:
        assert library.rows == 100  # a fifth is not much
        library.remove(3)
    with Library.open(tmp_path / "library") as library:
        assert library.rows == len(library) == 60
        np.testing.assert_array_equal(library.vectors(np.arange(20, 40)), tracks[3])


def test_rows_belong_to_tracks(tmp_path):
    with Library.create(tmp_path / "library", Network()) as library:
        assert (library.track_of(np.arange(3)) == -1).all()
        assert library
        assert len(library) == 0
        fill(library, [walk(np.random.default_rng(n), 10 + n) for n in range(3)])
        library.remove(2)
        rows = np.array([[-1, 0, 9], [10, 20, 21], [32, 33, 10**6]])
        assert library.track_of(rows).tolist() == [[-1, 1, 1], [-1, -1, 3], [3, -1, -1]]
        ids, firsts, counts = library.spans(rows)
        assert firsts[1].tolist() == [-1, -1, 21]
        assert counts[1].tolist() == [0, 0, 12]
        assert (ids >= 0).sum() == 4


@pytest.mark.parametrize("factory", [None, "IVF8,SQ8", "HNSW16", "PCA32,IVF8,SQ8"])
def test_every_kind_of_index_follows_the_changes(tmp_path, factory):
    """Added, removed and added again, in one session and after reopening."""
    rng = np.random.default_rng(0)
    tracks = [walk(rng, 60) for _ in range(8)]

    def found(library, number):
        query = unit(tracks[number][20:30] + 0.03 * rng.standard_normal((10, DIM)))
        best = identify(library, query, k=10).best
        return best.track.title if best and best.score > 0.7 else None

    with Library.create(tmp_path / "library", Network(), factory=factory) as library:
        fill(library, tracks[:4])
        assert [found(library, n) for n in (0, 3, 5)] == ["track 0", "track 3", None]
        library.remove(1)
        assert found(library, 0) is None
    saved = (tmp_path / "library" / "index.faiss").exists()
    assert saved == (factory is not None)
    with Library.open(tmp_path / "library", writable=True, nprobe=8) as library:
        assert [found(library, n) for n in (0, 1, 2, 3)] == [None, "track 1", "track 2", "track 3"]
        fill(library, tracks[4:], 4)
        library.remove(3)
        wanted = [None, "track 1", None, "track 3"]
        assert [found(library, n) for n in range(4)] == wanted
        assert all(found(library, n) for n in range(4, 8))
    with Library.open(tmp_path / "library", nprobe=8) as library:
        assert [found(library, n) for n in range(4)] == wanted
        assert all(found(library, n) for n in range(4, 8))


def test_silence_is_never_found(tmp_path):
    rng = np.random.default_rng(0)
    vectors = walk(rng, 60)
    vectors[20:50] = 0
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, [vectors])
        scores, rows = library.search(-vectors[:10], 60)
        assert set(rows[0]) == {-1, *range(20), *range(50, 60)}
        assert (scores[rows == -1] == -np.inf).all()


def test_searches_go_on_while_another_thread_adds(tmp_path):
    rng = np.random.default_rng(0)
    tracks = [walk(rng, 50) for _ in range(40)]
    problems = []
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, tracks[:1])
        done = threading.Event()

        def ask():
            try:
                while not done.is_set():
                    assert identify(library, tracks[0][10:20]).matches[0].track.id == 1
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        fill(library, tracks[1:], 1)
        for number in range(10, 40):
            library.remove(number)
        library.compact()
        done.set()
        for thread in threads:
            thread.join()
        assert not problems
        assert identify(library, tracks[39][:10]).matches[0].track.id == 40


def test_tuning_is_done_kept_and_repeated_after_growth(tmp_path, monkeypatch):
    """An index of codes is tuned when built and again after much growth, but not in between."""
    rng = np.random.default_rng(0)
    tracks = [walk(rng, 100) for _ in range(30)]
    with Library.create(tmp_path / "library", Network(), factory="IVF16,SQ8") as library:
        fill(library, tracks[:10])
    with Library.open(tmp_path / "library") as library:
        assert library.tuning is None  # nothing is loaded yet
        library.search(tracks[0][:5])
        first = library.tuning
        assert first is not None
        assert (
            first.recall >= index_tuning.RECALL and 1 <= first.nprobe <= 16 and first.rows == 1000
        )
        for segments, effort in ((20, 1), (11, 1), (10, 2), (5, 3), (1, 11)):
            found = library.search(tracks[0][:segments])[
                1
            ]  # the fewer segments, the more neighbours each
            assert found.shape == (segments, effort * first.neighbours)
    with monkeypatch.context() as patched:
        patched.setattr(index_keeper, "tune", None)  # not called: the tuning is kept
        with Library.open(tmp_path / "library", writable=True) as library:
            library.search(tracks[0][:5])
            assert library.tuning == first
            fill(library, tracks[10:14], 10)
    with Library.open(tmp_path / "library", writable=True) as library:
        fill(library, tracks[14:], 14)
        library.search(tracks[0][:5])
        assert library.tuning is not None and library.tuning.rows == 3000


def test_an_index_saved_without_tuning_is_tuned(tmp_path):
    with Library.create(tmp_path / "library", Network(), factory="IVF16,SQ8") as library:
        fill(library, [walk(np.random.default_rng(0), 1000)])
    record = tmp_path / "library" / "index.json"
    facts = json.loads(record.read_text())
    del facts["tuning"]
    record.write_text(json.dumps(facts))
    with Library.open(tmp_path / "library") as library:
        library.search(np.eye(DIM, dtype=np.float32)[:2])
        assert library.tuning is not None and library.tuning.recall >= index_tuning.RECALL


def test_a_library_of_silence_can_be_tuned(tmp_path):
    with Library.create(tmp_path / "library", Network(), factory="IVF4,SQ8") as library:
        vectors = walk(np.random.default_rng(0), 400)
        vectors[5:] = 0
        fill(library, [vectors])
        assert library.search(vectors[:2])[1][0, 0] == 0


def test_products_use_the_stored_numbers(tmp_path):
    vectors = walk(np.random.default_rng(0), 60)
    vectors[3] = 0
    vectors[4, ::2] = 1e-6  # subnormal in 16 bits
    queries = np.random.default_rng(1).standard_normal((7, DIM)).astype(np.float32)
    rows = np.random.default_rng(2).integers(0, 60, (9, 7))
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, [vectors])
        expected = np.einsum("cnd,nd->cn", library.vectors(rows), queries)
        np.testing.assert_allclose(library.products(rows, queries), expected, atol=1e-6)
        assert library.products(rows[:0], queries).shape == (0, 7)


def test_sums_are_over_the_segments_inside_the_track(tmp_path):
    vectors = walk(np.random.default_rng(0), 60)
    queries = np.random.default_rng(1).standard_normal((3, DIM)).astype(np.float32)
    positions = np.array([0, 2, 5])
    # All inside; begins before; ends after; wholly outside; at the very ends of the file.
    starts, firsts = [10, 18, 37, 50, -2, 55], [5, 20, 30, 20, 0, 50]
    counts = [30, 20, 10, 9, 9, 10]
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, [vectors])
        sums, found = library.score_sums(np.array([starts, firsts, counts]), positions, queries)
        none = library.score_sums(np.empty((3, 0), np.int64), positions, queries)
        for c, (start, first, count) in enumerate(zip(starts, firsts, counts, strict=True)):
            inside = [n for n, p in enumerate(positions) if first <= start + p < first + count]
            expected = sum(library.vectors(start + positions[n]) @ queries[n] for n in inside)
            assert found[c] == len(inside)
            assert sums[c] == pytest.approx(expected, abs=1e-5)
    assert found.tolist() == [3, 2, 2, 0, 2, 2]
    assert [len(part) for part in none] == [0, 0]


def test_products_are_exact_for_every_float16(tmp_path):
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    numbers = every[np.isfinite(every)].reshape(-1, DIM)
    path = tmp_path / "vectors"
    path.write_bytes(numbers.tobytes())
    vectors = VectorStore(path, DIM, len(numbers), writable=False)
    rows = np.arange(len(numbers))[:, None].repeat(DIM, axis=1)
    np.testing.assert_array_equal(vectors.products(rows, np.eye(DIM, dtype=np.float32)), numbers)
    scaled = vectors.products(rows, 1e20 * np.eye(DIM, dtype=np.float32))
    np.testing.assert_allclose(scaled, 1e20 * numbers.astype(np.float32), rtol=1e-6)


def test_prefetched_ranges_lie_in_the_file(tmp_path, monkeypatch):
    """Ranges begin at page boundaries; rows far apart are separate ranges."""
    monkeypatch.setattr(vectors, "_KEPT_BYTES", 0)
    asked = []
    path = tmp_path / "vectors"
    path.write_bytes(bytes(3000 * 2 * DIM))
    stored = VectorStore(path, DIM, 3000, writable=False)
    ahead = SimpleNamespace(madvise=lambda advice, begin, size: asked.append((begin, size)))
    monkeypatch.setattr(stored._mapped(), "_mmap", ahead)
    monkeypatch.setattr(os, "RWF_NOWAIT", 8, raising=False)
    monkeypatch.setattr(os, "preadv", lambda *_: 1, raising=False)  # all is in memory
    stored.prefetch(np.array([7]), np.array([21]))
    assert asked == []
    monkeypatch.setattr(os, "preadv", Mock(side_effect=BlockingIOError), raising=False)
    stored.prefetch(np.array([2990, 20, 17]), np.array([3000, 31, 20]))
    row, page = 2 * DIM, mmap.PAGESIZE
    low, high = 17 * row // page * page, 2990 * row // page * page
    assert asked == [(low, 31 * row - low), (high, 3000 * row - high)]
