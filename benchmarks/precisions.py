"""What bfloat16 costs in hits: the same questions to the same music, in float32 and in bfloat16.

    python -m benchmarks.precisions --test TEST --noise NOISE --rooms ROOMS

The released network fingerprints the library and the queries in either precision: 1, 2 and 5 s,
noise at 0 and 10 dB, without and with reverb, right within 50 ms. As both are asked the same, what
counts is the queries that only one of them gets right.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import common, workers
from benchmarks.workers import Crew
from grafprint.evaluation import Cell, EvaluationConfig, Report

PRECISIONS = ("fp32", "bf16")
TOLERANCE_S = 0.05


def hits(cells: list[Cell]) -> np.ndarray:
    """Which queries are right, in the order they were asked: bool ``[n]``."""
    return np.array([outcome.hit(TOLERANCE_S) for cell in cells for outcome in cell.outcomes])


def compared(reports: list[Report], cells: list[int]) -> dict[str, Any]:
    """How often both are right, and what bfloat16 lost and won, over some of the cells."""
    first, second = (hits([report.cells[number] for number in cells]) for report in reports)
    lost, won = int((first & ~second).sum()), int((second & ~first).sum())
    difference = (won - lost) / len(first)
    # Of the difference of two shares of the same queries (McNemar's setting).
    deviation = ((won + lost) / len(first) - difference**2) ** 0.5 / len(first) ** 0.5
    return {
        "queries": len(first), "hit_50ms": [float(found.mean()) for found in (first, second)],
        "lost": lost, "won": won, "difference": difference,
        "interval": [difference - 1.96 * deviation, difference + 1.96 * deviation],
    }  # fmt: skip


def run(precision: str, config: EvaluationConfig, args: argparse.Namespace, crew: Crew | None
        ) -> Report:  # fmt: skip
    """Everything in one precision."""
    asked = replace(common.model(args, "grafprint"), precision=precision)
    fingerprinter, helpers = common.shared(crew, asked)
    folders = [folder for folder in (args.test, args.distractors) if folder]
    work = args.work / precision
    with common.collection("grafprint", fingerprinter, folders, work, helpers) as library:
        label = f"precisions-{precision}"
        return common.measure(label, library, fingerprinter, config, args, helpers)


def main() -> None:
    """Measure both, print, write."""
    args = common.shared_options(__doc__).parse_args()
    config = EvaluationConfig(
        lengths_s=(1.0, 2.0, 5.0), snrs_db=(0.0, 10.0), queries=args.queries, seed=args.seed
    )
    with workers.crew(args.processes) as crew:
        found = [run(precision, config, args, crew) for precision in PRECISIONS]
    settings = [cell.setting for cell in found[0].cells]
    rows = [
        {"length_s": s.length_s, "reverb": s.reverb, "snr_db": s.snr_db, **compared(found, [n])}
        for n, s in enumerate(settings)
    ]
    everything = compared(found, list(range(len(settings))))
    print(everything)
    common.write("precisions", {
        "references": found[0].references, "fingerprints": found[0].fingerprints,
        "precisions": PRECISIONS, "rows": rows, "all": everything,
    }, args.out)  # fmt: skip


if __name__ == "__main__":
    main()
