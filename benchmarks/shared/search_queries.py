"""Queries for the search benchmarks: fingerprints, answers, indexes, and exact search."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import faiss
import numpy as np

from grafprint import matching
from grafprint.degradation.banks import noise_bank, room_bank
from grafprint.evaluation import query_tracks
from grafprint.evaluation.queries import Degrader, Setting
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library
from grafprint.library.index.row_index import IndexState, RowIndex, training_size

K = 20  # neighbours of a segment, as matching asks for
TOLERANCE_S = 0.05
_BLOCK = 1 << 16

Search = Callable[[np.ndarray, int | None], tuple[np.ndarray, np.ndarray]]
Found = list[tuple[int, float]]  # track and time of every query


def options(doc: str) -> argparse.ArgumentParser:
    """A parser with options for the library and the queries."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--test", type=Path, help="folder of the tracks to query")
    parser.add_argument("--noise", type=Path, help="noises not used in training")
    parser.add_argument("--rooms", type=Path, help="room responses not used in training")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs"))
    return parser


@dataclass(frozen=True, eq=False)
class SearchQueries:
    """Fingerprints ``[q, m, dim]`` of degraded queries, with their tracks and times ``[q]``."""

    prints: np.ndarray
    tracks: np.ndarray
    times: np.ndarray

    def first(self, count: int) -> SearchQueries:
        """The first ``count`` of them."""
        return SearchQueries(self.prints[:count], self.tracks[:count], self.times[:count])

    def answers(self, library: Library, search: Search | None = None) -> Found:
        """The best match of each query, with the library's own search or another one."""
        with mock.patch.object(library, "search", search or library.search):
            answers = [matching.identify(library, prints, top_k=1) for prints in self.prints]
        best = [answer.best for answer in answers]
        return [(match.track.id, match.start_s) if match else (-1, 0.0) for match in best]

    def right(self, found: Found) -> np.ndarray:
        """Which answers have the right track at the right time, bool ``[q]``."""
        truth: Found = list(zip(self.tracks.tolist(), self.times.tolist(), strict=True))
        return same(found, truth)


def same(found: Found, others: Found) -> np.ndarray:
    """Which answers agree, bool ``[q]``."""
    return np.array(
        [
            track == other and abs(start_s - time_s) <= TOLERANCE_S
            for (track, start_s), (other, time_s) in zip(found, others, strict=True)
        ]
    )


def make(library: Library, setting: Setting, args: argparse.Namespace) -> Path:
    """A file of degraded queries in the folder ``args.work``; made if it is missing."""
    fingerprinter = Fingerprinter.load(args.model)
    snr = "none" if setting.snr_db is None else f"{setting.snr_db:g}"
    kept = args.work / (
        f"lookups-{fingerprinter.model_id}-{setting.length_s:g}-{snr}-{int(setting.reverb)}-"
        f"{args.queries}-{args.seed}.npz"
    )
    if kept.exists():
        return kept
    degrader = Degrader(noise_bank(args.noise, "test", 0, 0), room_bank(args.rooms, "test", 0, 0))
    tracks = [t for t in query_tracks(library, args.test) if t.duration_s > setting.length_s + 1]
    found: dict[str, list[Any]] = {"prints": [], "tracks": [], "times": []}
    for number in range(args.queries):
        rng = np.random.default_rng((args.seed, number))
        track = tracks[rng.integers(len(tracks))]
        path = library.audio_path(track)
        assert path is not None
        (query,) = degrader.clean(
            fingerprinter, path, track.duration_s, [setting], rng, (args.seed, number)
        )
        found["prints"].append(query.fingerprints)
        found["tracks"].append(track.id)
        found["times"].append(query.time_s)
    args.work.mkdir(parents=True, exist_ok=True)
    np.savez(kept, allow_pickle=False, **{name: np.array(v) for name, v in found.items()})
    return kept


def load(path: Path) -> SearchQueries:
    """Load queries from a file of :func:`make`."""
    with np.load(path) as kept:
        return SearchQueries(**kept)


class ExactSearch:
    """Exact search: many queries are compared with every vector in one pass over the store."""

    def __init__(self, library: Library, queries: np.ndarray, k: int = K) -> None:
        """Find the ``k`` nearest rows of all segments of ``queries [q, m, dim]``."""
        segments = queries.reshape(-1, library.dim)
        best = np.full((len(segments), k), -np.inf, np.float32)
        rows = np.full((len(segments), k), -1, np.int64)
        for begin in range(0, library.rows, _BLOCK):
            vectors = library.vector_store.read_range(begin, begin + _BLOCK)
            products, found = faiss.knn(
                segments, vectors, min(k, len(vectors)), faiss.METRIC_INNER_PRODUCT
            )
            joined = np.concatenate([best, products], axis=1)
            numbers = np.concatenate([rows, found + begin], axis=1)
            order = np.argsort(-joined, axis=1)[:, :k]
            best = np.take_along_axis(joined, order, 1)
            rows = np.take_along_axis(numbers, order, 1)
        self._found = {
            segment.tobytes(): (scores, numbers)
            for segment, scores, numbers in zip(segments, best, rows, strict=True)
        }

    def __call__(self, queries: np.ndarray, k: int | None) -> tuple[np.ndarray, np.ndarray]:
        """See ``Library.search``; only for segments of the queries."""
        scores, rows = zip(*(self._found[q.tobytes()] for q in queries), strict=True)
        return np.stack(scores), np.stack(rows)


def build(library: Library, factory: str, step: int = 1) -> tuple[RowIndex, float]:
    """An index of every ``step``-th fingerprint of the library, and the seconds it took."""
    began = time.perf_counter()
    rows = np.arange(0, library.rows, step)
    vectors = library.vectors(rows)
    size = training_size(factory, library.dim, len(rows))
    sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:size])
    index = RowIndex.train(library.dim, IndexState("", 0, len(rows), 0, factory), vectors[sample])
    index.add(rows, vectors)
    return index, time.perf_counter() - began
