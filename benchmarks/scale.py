"""Search among tens of millions of fingerprints: memory, time, and recall relative to exact search.

    python -m benchmarks.scale --library LIBRARY --test TEST --noise NOISE --rooms ROOMS \\
        --sizes 100000,200000,450000,1000000,10000000,30000000

LIBRARY contains real music, including TEST's tracks. For each size the previous library is copied
and filled up with synthetic tracks of some minutes: mixes of two real tracks, that is the
normalised sums of their fingerprints with a little noise, one pair after the other. For a size
below LIBRARY's, tracks that are not queried are removed. Then the index is built: seconds, and the
additional peak memory. At each size, in a new process: seconds to open the library and memory
(resident, without mapped files), idle and after searches; then the median time of 5 s queries in
search and alignment, the time of the same query repeated, when nothing has to be read from the
disk, the part of it in FAISS, hits, how many answers are the same when every candidate is scored in
full, and how many equal exact search's. Up to a million fingerprints, an exact index and one of
codes also search in turn for each query, on one thread: the median CPU times show where the program
should change from one to the other (``row_index.EXACT_BELOW``). Above 30 million only the first 50
queries are compared with exact search. Results for other sizes than those asked for are kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.shared import common, search_queries
from benchmarks.shared.search_queries import SearchQueries
from grafprint import matching
from grafprint.audio.metadata import Tags
from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.queries import Setting
from grafprint.library import Library
from grafprint.library.folder import INDEX
from grafprint.library.index import row_index
from grafprint.library.index_tuning import tune
from grafprint.library.records import File, Recording, Track
from grafprint.matching import alignment

SETTING = Setting(5.0, 5.0, True)  # 5 s, 5 dB, reverb
PAIRS = 10  # one after the other in a synthetic track
BOTH_UP_TO = 1_000_000  # fingerprints that are also searched exactly, in memory
ALL_UP_TO, SOME = 30_000_000, 50  # exact search of all queries would take over an hour above


def grow(library: Library, size: int, seed: int) -> None:
    """Add synthetic tracks until the library has ``size`` fingerprints."""
    real = [t for t in library.tracks() if not t.content_hash.startswith("made up")]
    number = len(library.tracks()) - len(real)
    while len(library) < size:
        rng = np.random.default_rng((seed, number))
        pairs = [rng.choice(len(real), 2, replace=False) for _ in range(PAIRS)]
        vectors = np.concatenate([mixed(library, real[a], real[b], rng) for a, b in pairs])
        vectors = vectors[: size - len(library)]
        library.vector_store.append(vectors)
        name = f"made up {number}"
        recording = Recording(
            name, len(vectors) * library.hop_s + 1, Tags(name, "", "", "", ""), len(vectors),
            library.vector_store.pending_crc32,
        )  # fmt: skip
        library.sync_rows()
        with library.changing() as catalogue:
            catalogue.put(recording, File(f"made-up/{number}", 0, 0, 0), None)
            library.commit_rows()
        number += 1
        if number % 500 == 0:
            print(f"{len(library):,} of {size:,} fingerprints", flush=True)


def mixed(library: Library, a: Track, b: Track, rng: np.random.Generator) -> np.ndarray:
    """Fingerprints of a mix of two tracks, as long as the shorter one."""
    count = min(a.count, b.count)
    one, two = (library.vector_store.read_range(t.first, t.first + count) for t in (a, b))
    share = np.float32(rng.uniform(0.3, 0.7))
    vectors = share * one + (1 - share) * two
    vectors += np.float32(0.01) * rng.standard_normal(one.shape, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-9), np.float32)


def shrink(library: Library, size: int, asked: np.ndarray) -> None:
    """Remove tracks, except those with ids ``asked``, until ``size`` fingerprints are left."""
    for track in library.tracks():
        if len(library) - track.count >= size and track.id not in asked:
            library.remove(track.id)


def measure(path: Path, queries: SearchQueries) -> dict[str, Any]:
    """Measure one size, in a new process, so that memory is this library's alone."""
    began, before = time.perf_counter(), common.anonymous_mb()
    library = Library.open(path)
    opened_s, idle = time.perf_counter() - began, common.anonymous_mb()
    began = time.perf_counter()
    matching.identify(library, queries.prints[0])
    first_s = time.perf_counter() - began
    whole, searching, again = [], [], []
    for prints in queries.prints:
        began = time.perf_counter()
        library.search(prints)
        searching.append(time.perf_counter() - began)
        began = time.perf_counter()
        matching.identify(library, prints)
        whole.append(time.perf_counter() - began)
        began = time.perf_counter()
        matching.identify(library, prints)
        again.append(time.perf_counter() - began)
    used = common.anonymous_mb()
    tuning = asdict(library.tuning) if library.tuning else None
    found = queries.answers(library)
    right = queries.right(found)
    with mock.patch.object(alignment, "SHORT", sys.maxsize):
        of_all = queries.answers(library)
    result = {
        "fingerprints": len(library),
        "factory": library.index_state().factory,
        "tuning": tuning,
        "open_s": opened_s,
        "first_query_s": first_s,
        "idle_mb": idle - before,
        "searched_mb": used - before,
        "query_s": statistics.median(whole),
        "again_s": statistics.median(again),
        "search_s": statistics.median(searching),
        "hit_50ms": wilson(int(right.sum()), len(right)),
        "same_by_all_candidates": int(search_queries.same(found, of_all).sum()),
    }
    some = queries if len(library) <= ALL_UP_TO else queries.first(SOME)
    expected = some.answers(library, search_queries.ExactSearch(library, some.prints))
    agreeing = search_queries.same(found[: len(expected)], expected)
    found_of_exact = right[: len(expected)][some.right(expected)]
    return {
        **result,
        **({} if len(library) > BOTH_UP_TO else both_ways(library, queries)),
        "same_as_exact": wilson(int(agreeing.sum()), len(agreeing)),
        "recall_of_exact": float(found_of_exact.mean()) if len(found_of_exact) else None,
        "compared_with_exact": len(expected),
    }


def both_ways(library: Library, queries: SearchQueries) -> dict[str, Any]:
    """Exact search and codes, in turn: CPU seconds to make an index, and median of a search.

    The codes are those of the default index at this size, or of the smallest one below it.
    """
    factory = row_index.choose_factory(max(len(library), row_index.EXACT_BELOW))
    made = {}
    found: dict[str, Any] = {}
    for way, kind in (("exact", row_index.EXACT), ("codes", factory)):
        began = time.process_time()
        made[way], _ = search_queries.build(library, kind)
        if made[way].lists > 1:
            made[way].tuning = tune(made[way], library.table(), library.vector_store)
        found[f"{way}_made_cpu_s"] = time.process_time() - began
    taken: dict[str, list[float]] = {way: [] for way in made}
    for prints in queries.prints:
        for way, index in made.items():
            began = time.process_time()
            index.search(prints, index.neighbours(len(prints)))
            taken[way].append(time.process_time() - began)
    return found | {f"{way}_cpu_s": statistics.median(times) for way, times in taken.items()}


def kept_rows(sizes: list[int]) -> list[dict[str, Any]]:
    """The results so far for other numbers of fingerprints than ``sizes``, give or take 10 %."""
    try:
        rows: list[dict[str, Any]] = common.read("scale")["rows"]
    except FileNotFoundError:
        return []
    return [r for r in rows if not any(abs(r["fingerprints"] - n) <= n / 10 for n in sizes)]


def main() -> None:
    """Grow and measure libraries, or with --measure measure a single one."""
    parser = search_queries.options(__doc__)
    parser.add_argument("--sizes", default="1000000")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.library, search_queries.load(args.measure))))
        return
    with Library.open(args.library) as library:
        kept, all_of_it = search_queries.make(library, SETTING, args), len(library)
    rows, source = [], args.library
    sizes = [int(size) for size in args.sizes.split(",")]
    others = kept_rows(sizes)
    for size in sizes:
        place = args.work / f"scale-{size}"
        if not place.exists():
            shutil.copytree(source, place.with_name("scale.partial"), dirs_exist_ok=True)
            place.with_name("scale.partial").rename(place)
        if size >= all_of_it:
            source = place  # for the next size
        before = row_index.saved_state(place / INDEX)
        began = time.perf_counter()
        with Library.open(place, writable=True) as library:
            shrink(library, size, search_queries.load(kept).tracks)
            grow(library, size, args.seed)
            grown_s = time.perf_counter() - began
            with common.peak_mb() as peak:
                library.finish()
                indexing_mb = peak()
            stamp = library.index_state()  # without removed rows
        kept_index = before and (before.generation, before.factory) == (
            stamp.generation,
            stamp.factory,
        )
        indexed = stamp.rows - (before.rows if before and kept_index else 0)
        indexed_s = time.perf_counter() - began - grown_s
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "--library", place, "--measure", kept],
            check=True,
            capture_output=True,
            text=True,
        )
        rows.append({
            **json.loads(done.stdout.splitlines()[-1]), "grown_s": grown_s,
            "indexed": 0 if stamp.factory == row_index.EXACT else indexed, "indexed_s": indexed_s,
            "indexing_mb": indexing_mb,
        })  # fmt: skip
        print(rows[-1], flush=True)
        found = sorted([*rows, *others], key=lambda row: row["fingerprints"])
        common.write("scale", {"queries": args.queries, "rows": found})


if __name__ == "__main__":
    main()
