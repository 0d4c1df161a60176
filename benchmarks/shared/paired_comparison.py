"""Paired comparison of two systems on the same queries."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.shared.common import markdown
from grafprint.evaluation import Cell, EvaluationConfig, Report

TOLERANCE_S = 0.05


def grid(args: argparse.Namespace) -> EvaluationConfig:
    """The queries: 1, 2 and 5 s, noise at 0 and 10 dB, without and with reverb."""
    return EvaluationConfig(
        lengths_s=(1.0, 2.0, 5.0), snrs_db=(0.0, 10.0), queries=args.queries, seed=args.seed
    )


def hits(cells: list[Cell]) -> np.ndarray:
    """Which queries are right, in order: bool ``[n]``."""
    return np.array([outcome.hit(TOLERANCE_S) for cell in cells for outcome in cell.outcomes])


def compare(reports: list[Report]) -> dict[str, Any]:
    """Compare two reports on the same queries, by cell and overall."""
    settings = [cell.setting for cell in reports[0].cells]
    rows = [
        {"length_s": s.length_s, "reverb": s.reverb, "snr_db": s.snr_db,
         **difference([report.cells[n : n + 1] for report in reports])}
        for n, s in enumerate(settings)
    ]  # fmt: skip
    everything = difference([report.cells for report in reports])
    print(everything)
    return {
        "references": reports[0].references,
        "fingerprints": reports[0].fingerprints,
        "rows": rows,
        "all": everything,
    }


def difference(ways: list[list[Cell]]) -> dict[str, Any]:
    """The hit rates of both, the queries that the second lost and won, and a 95 % interval."""
    first, second = map(hits, ways)
    lost, won = int((first & ~second).sum()), int((second & ~first).sum())
    mean = (won - lost) / len(first)
    # The difference of two shares of the same queries (as in McNemar's test).
    deviation = ((won + lost) / len(first) - mean**2) ** 0.5 / len(first) ** 0.5
    return {
        "queries": len(first), "hit_50ms": [float(found.mean()) for found in (first, second)],
        "lost": lost, "won": won, "difference": mean,
        "interval": [mean - 1.96 * deviation, mean + 1.96 * deviation],
    }  # fmt: skip


def table(found: dict[str, Any], names: list[str]) -> str:
    """The hit rates of both in %, under ``names``, and the difference."""
    header = ["query", "reverb", "SNR", *names, "difference"]
    rows = [
        [f"{r['length_s']:g} s", "yes" if r["reverb"] else "no", f"{r['snr_db']:g} dB",
         *(f"{100 * rate:.1f}" for rate in r["hit_50ms"]), f"{100 * r['difference']:+.1f}"]
        for r in found["rows"]
    ]  # fmt: skip
    both = found["all"]
    low, high = (100 * end for end in both["interval"])
    rows.append([
        "all", "", "", *(f"{100 * rate:.2f}" for rate in both["hit_50ms"]),
        f"{100 * both['difference']:+.2f} ({low:+.2f} to {high:+.2f})",
    ])  # fmt: skip
    return markdown(header, rows) + (
        f"\n\n{found['references']:,} references; of {both['queries']:,} queries {both['lost']} "
        f"were lost, and {both['won']} won."
    )
