"""Comparison of indexes: memory, time, and recall relative to exact search.

    python -m benchmarks.index_choice --library LIBRARY --test TEST --noise NOISE --rooms ROOMS

LIBRARY contains real music, including TEST's tracks; queries are 2 s with noise at 5 dB and reverb.
Each index proposes places, which are scored with the uncompressed fingerprints as usual. For each
kind: seconds to build and bytes per fingerprint; then, for the fewest probes that find 99 % of
exact search's right answers (or the most probes tried), hits and milliseconds of a query of 5 s.
The first rows are exact. All run in turn in one process, so that ratios are reliable. Then, for the
default kind, an index of only every second, third or fifth fingerprint, while queries keep all of
theirs: hits of queries of 1, 2 and 5 s. Finally the error of codes without rotation, with FAISS's
and with the default one: mean squared error on fingerprints not used for training.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from benchmarks.shared import common, search_queries
from benchmarks.shared.search_queries import K, SearchQueries
from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.queries import Setting
from grafprint.library import Library
from grafprint.library.index.opq import balanced_rotation
from grafprint.library.index.row_index import RowIndex, coded, training_size
from grafprint.library.index_tuning import tune

LENGTHS_S = (1.0, 2.0, 5.0)
LISTS = 256
CHOSEN = coded(LISTS)
PARTS, BITS = 32, 4  # of its codes
STEPS = (1, 2, 3, 5)
PERCENTILES = (1, 3, 5, 10, 25, 50)
FACTORIES = (
    "Flat", "SQfp16", "SQ8", "HNSW32",
    *(f"IVF{LISTS},{codes}" for codes in (
        "Flat", "SQ8", "PQ64", "PQ32", "PQ16", "PQ8", "PQ64x4fs", "PQ32x4fs", "PQ16x4fs", "RaBitQ",
    )),
    f"OPQ16,IVF{LISTS},PQ16", CHOSEN,
)  # fmt: skip
PROBES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ENOUGH = 0.99
SEGMENTS = 41  # of a query of 5 s
ROUNDS = 7


def size(index: RowIndex) -> int:
    """Bytes of the whole index, with codes and ids."""
    return len(faiss.serialize_index(index._index))


def query_s(index: RowIndex, segments: np.ndarray, nprobe: int) -> float:
    """Median seconds to search for one query of 5 s."""
    times = []
    for query in np.resize(segments, (ROUNDS, SEGMENTS, segments.shape[1])):
        began = time.perf_counter()
        index.search(query, K, nprobe)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def measure(
    library: Library, queries: SearchQueries, factory: str, exact: np.ndarray
) -> dict[str, Any]:
    """Measure one kind of index; ``exact [q]`` says which queries exact search answers right."""
    index, built_s = search_queries.build(library, factory)
    lists = "IVF" in factory
    for nprobe in PROBES if lists else PROBES[:1]:
        found = queries.answers(library, lambda q, _, n=nprobe: index.search(q, K, n))  # type: ignore[misc]
        right = queries.right(found)
        recall = float((right & exact).sum() / exact.sum())
        if recall >= ENOUGH:
            break
    segments = queries.prints.reshape(-1, library.dim)
    tuned = tune(index, library.table(), library.vector_store) if lists else None
    return {
        "factory": factory,
        "built_s": built_s,
        "bytes": size(index) / library.rows,
        "nprobe": nprobe if lists else None,
        "recall_of_exact": recall,
        "hit_50ms": wilson(int(right.sum()), len(right)),
        "query_s": query_s(index, segments, nprobe),
        "tuned_nprobe": tuned.nprobe if tuned else None,
    }


def searched_by(index: RowIndex) -> search_queries.Search:
    """Search for the segments of one clip, with the index's own tuning."""
    return lambda q, _: index.search(q, index.neighbours(len(q)))


def thinned(library: Library, of: dict[float, SearchQueries]) -> list[dict[str, Any]]:
    """Hits by query length: exact search, then indexes of all and of fewer fingerprints."""
    exact = {
        f"{length:g}": hits(queries, queries.answers(library)) for length, queries in of.items()
    }
    rows: list[dict[str, Any]] = [{"hop_s": None, "bytes_per_hour": None, "hit_50ms": exact}]
    tuning = None
    for step in STEPS:
        index, _ = search_queries.build(library, CHOSEN, step)
        tuning = tuning or tune(index, library.table(), library.vector_store)
        index.tuning = tuning
        found = {
            f"{length:g}": hits(queries, queries.answers(library, searched_by(index)))
            for length, queries in of.items()
        }
        rows.append({
            "hop_s": step * library.hop_s, "bytes_per_hour": size(index) / hours(library),
            "hit_50ms": found,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def rotations(library: Library) -> list[dict[str, Any]]:
    """For each rotation before the default codes: seconds to compute it, and the codes' error."""
    size = training_size(CHOSEN, library.dim, library.rows // 2)
    rows = np.random.default_rng(0).permutation(library.rows)[: 2 * size]
    known, held_out = (library.vectors(np.sort(part)) for part in np.split(rows, 2))
    found = []
    for name, turn in ROTATIONS.items():
        began = time.perf_counter()
        matrix = turn(known)
        took_s = time.perf_counter() - began
        codes: Any = faiss.ProductQuantizer(library.dim, PARTS, BITS)
        codes.train(np.ascontiguousarray(known @ matrix.T))
        turned = np.ascontiguousarray(held_out @ matrix.T)
        lost = ((turned - codes.decode(codes.compute_codes(turned))) ** 2).sum(axis=1)
        found.append({"rotation": name, "found_s": took_s, "error": float(lost.mean())})
        print(found[-1], flush=True)
    return found


def faiss_rotation(sample: np.ndarray) -> np.ndarray:
    """The rotation that FAISS trains for an index of the default kind."""
    rotation: Any = faiss.OPQMatrix(sample.shape[1], PARTS)
    rotation.pq = faiss.ProductQuantizer(sample.shape[1], PARTS, BITS)
    rotation.train(sample)
    return np.asarray(faiss.vector_to_array(rotation.A).reshape(sample.shape[1], -1))


ROTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda sample: np.eye(sample.shape[1], dtype=np.float32),
    "FAISS's rounds": faiss_rotation,
    "in closed form": lambda sample: balanced_rotation(sample, PARTS, sample.shape[1], BITS),
}


def hits(queries: SearchQueries, found: search_queries.Found) -> tuple[float, float, float]:
    """The share of right answers, and its interval."""
    right = queries.right(found)
    return wilson(int(right.sum()), len(right))


def cosine_similarities(library: Library, queries: SearchQueries) -> dict[str, float]:
    """Percentiles of the cosine similarities of query segments with their own clean rows."""
    firsts = np.array([library.track(int(track)).first for track in queries.tracks])
    starts = firsts + np.round(queries.times / library.hop_s).astype(int)
    rows = starts[:, None] + np.arange(queries.prints.shape[1])
    rows = np.minimum(rows, library.rows - 1)
    products = (library.vectors(rows) * queries.prints).sum(axis=2)
    return {f"{p}": float(np.percentile(products, p)) for p in PERCENTILES}


def hours(library: Library) -> float:
    """Hours of audio in a library."""
    return sum(track.duration_s for track in library.tracks()) / 3600


def main() -> None:
    """Measure, print, write."""
    args = search_queries.options(__doc__).parse_args()
    rows: list[dict[str, Any]] = []
    with Library.open(args.library) as library:
        of = {
            length: search_queries.load(
                search_queries.make(library, Setting(length, 5.0, True), args)
            )
            for length in LENGTHS_S
        }
        queries = of[2.0]
        exact = queries.right(
            queries.answers(library, search_queries.ExactSearch(library, queries.prints))
        )
        results: dict[str, Any] = {
            "queries": args.queries, "fingerprints": len(library), "hours": hours(library),
            "likeness_percentiles": cosine_similarities(library, queries),
            "exact_hit_50ms": wilson(int(exact.sum()), len(exact)), "rows": rows,
        }  # fmt: skip
        for factory in FACTORIES:
            rows.append(measure(library, queries, factory, exact))
            print(rows[-1], flush=True)
        results["rotations"] = rotations(library)
        common.write("index_choice", results | {"thinned": thinned(library, of)})


if __name__ == "__main__":
    main()
