"""Hits in float32 and in bfloat16, for the same queries and music.

    python -m benchmarks.precisions --test TEST --noise NOISE --rooms ROOMS

The released network fingerprints library and queries in either precision: 1, 2 and 5 s, noise at 0
and 10 dB, without and with reverb, right within 50 ms. The comparison is paired: it counts the
queries that only one precision gets right.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from benchmarks.shared import common, workers
from benchmarks.shared.paired_comparison import compare, grid
from benchmarks.shared.workers import WorkerPool
from grafprint.evaluation import EvaluationConfig, Report

PRECISIONS = ("fp32", "bf16")


def run(
    precision: str, config: EvaluationConfig, args: argparse.Namespace, pool: WorkerPool | None
) -> Report:
    """Evaluate in one precision."""
    asked = replace(common.model(args, "grafprint"), precision=precision)
    fingerprinter, helpers = common.shared(pool, asked)
    folders = [folder for folder in (args.test, args.distractors) if folder]
    work = args.work / precision
    with common.collection("grafprint", fingerprinter, folders, work, helpers) as library:
        label = f"precisions-{precision}"
        return common.measure(label, library, fingerprinter, config, args, helpers)


def main() -> None:
    """Measure both, print, write."""
    args = common.shared_options(__doc__).parse_args()
    config = grid(args)
    with workers.worker_pool(args.processes) as pool:
        found = [run(precision, config, args, pool) for precision in PRECISIONS]
    common.write("precisions", {"precisions": PRECISIONS, **compare(found)}, args.out)


if __name__ == "__main__":
    main()
