"""What it costs to build a library by the fast network: the same questions to either library.

    python -m benchmarks.fast_library --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS

The released network fingerprints the queries; the music is fingerprinted by it, and by the network
distilled from it (grafprint/training/distillation.py): 1, 2 and 5 s, noise at 0 and 10 dB,
without and with reverb, right within 50 ms. How alike the fingerprints of the test tracks are is
measured, too, and how many right answers are sure enough to be given, and wrong ones where the
track is not there.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import common, open_set, workers
from benchmarks.shared.paired_comparison import compare, grid
from benchmarks.shared.workers import WorkerPool
from grafprint.evaluation import Report, query_tracks
from grafprint.fingerprint import FAST_MODEL
from grafprint.library import Library


def cosine_similarities(first: Library, second: Library, test: Path) -> np.ndarray:
    """Cosine similarities of two libraries' non-silent fingerprints of the test tracks."""
    others = {second.audio_path(track): track for track in second.tracks()}
    products = []
    for track in query_tracks(first, test):
        other = others[first.audio_path(track)]
        a, b = (
            library.vectors(np.arange(t.first, t.first + t.count))
            for library, t in ((first, track), (second, other))
        )
        products.append((a * b).sum(axis=1)[a.any(axis=1)])
    return np.concatenate(products)


def named(report: Report) -> list[dict[str, Any]]:
    """True and false positive rates by length of clip, at the default threshold."""
    return [row for row in open_set.open_set(report)["curve"] if row["default"]]


def run(fast: bool, args: argparse.Namespace, pool: WorkerPool | None) -> tuple[Library, Report]:
    """Fingerprint the music with one of the networks, and evaluate."""
    model = common.model(args, "grafprint")
    asking, helpers = common.shared(pool, replace(model, memory=args.work / "queries"))
    hearing, hearers = common.shared(pool, replace(model, path=FAST_MODEL) if fast else model)
    folders = [folder for folder in (args.test, args.distractors) if folder]
    work = args.work / "fast" if fast else args.work
    library = common.collection("grafprint", hearing, folders, work, hearers)
    label = f"fast-library-{'fast' if fast else 'own'}"
    return library, common.measure(label, library, asking, grid(args), args, helpers)


def main() -> None:
    """Measure both, print, write."""
    args = common.shared_options(__doc__).parse_args()
    with workers.worker_pool(args.processes) as pool:
        (own, first), (fast, second) = (run(fast, args, pool) for fast in (False, True))
    with own, fast:
        products = cosine_similarities(own, fast, args.test)
    percentiles = {f"{p}": float(np.percentile(products, p)) for p in (1, 5, 25, 50)}
    print(products.mean(), percentiles)
    common.write("fast_library", {
        "likeness": float(products.mean()), "likeness_percentiles": percentiles,
        "named": [named(report) for report in (first, second)],
        **compare([first, second]),
    }, args.out)  # fmt: skip


if __name__ == "__main__":
    main()
