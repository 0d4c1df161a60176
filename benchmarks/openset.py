"""How far confidences can be trusted: reliability, and wrong names against found ones.

Every query of an evaluation counts twice: as it is, and as if its track were not in the library,
when the best other track is what it would be taken for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grafprint.confidence import CALIBRATION
from grafprint.report import Cell, Outcome, Report, wilson

# Music is reused: of a query whose longest and least degraded clip scores so much on another track,
# that one has the music too, and naming it is right. Without such, the highest were below 0.7.
SHARED = 0.75
ASKED = (0.5, 0.8, 0.9, 0.95, CALIBRATION.sure, 0.995, 0.999)  # confidences, for the curve


def unshared(report: Report) -> list[int]:
    """The numbers of the queries that share no music with other tracks."""

    def ease(cell: Cell) -> tuple[float, float]:
        snr_db = cell.setting.snr_db
        return cell.setting.length_s, np.inf if snr_db is None else snr_db

    best = max((cell for cell in report.cells if not cell.setting.reverb), key=ease)
    return [i for i, outcome in enumerate(best.outcomes) if outcome.wrong_score < SHARED]


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Expected calibration error, and bins of equal width that hold any answers.

    A bin is (mean confidence, share right with its 95 % interval, number of answers).
    """
    place = np.minimum((confidences * bins).astype(int), bins - 1)
    rows = [
        (float(confidences[place == b].mean()),
         wilson(int(right[place == b].sum()), int((place == b).sum())), int((place == b).sum()))
        for b in range(bins) if (place == b).any()
    ]  # fmt: skip
    error = sum(n * abs(c - rate) for c, (rate, _, _), n in rows) / len(right)
    return {"expected_calibration_error": float(error), "bins": rows}


def open_set(report: Report) -> dict[str, Any]:
    """What the calibration in use is worth on the report's queries."""
    kept = set(unshared(report))
    # Once the queries as they are, once those without music that other tracks have.
    result = {
        name: _measure([
            (cell.setting.length_s, [o for i, o in enumerate(cell.outcomes) if i in chosen])
            for cell in report.cells
        ], report.fingerprints)
        for name, chosen in (("all", set(range(report.done))), ("unshared", kept))
    }  # fmt: skip
    return {"unshared_queries": len(kept), **result}


def _measure(cells: list[tuple[float, list[Outcome]]], fingerprints: int) -> dict[str, Any]:
    lengths, present, right, absent = [], [], [], []
    for length, outcomes in cells:
        for o in outcomes:
            lengths.append(length)
            present.append(CALIBRATION.confidence(o.score, length, fingerprints))
            right.append(o.right_track())
            absent.append(CALIBRATION.confidence(o.wrong_score, length, fingerprints))
    length_s, ours, is_right, others = map(np.array, (lengths, present, right, absent))
    everything = np.concatenate([ours, others])
    return {
        **reliability(everything, np.concatenate([is_right, np.zeros(len(others), bool)])),
        "curve": [
            {"length_s": length, "sure": sure,
             "found": _share(ours[here] >= sure, is_right[here]),
             "wrong_when_present": _share(ours[here] >= sure, ~is_right[here]),
             "wrong_when_absent": _share(others[here] >= sure)}
            for length in sorted(set(lengths)) for here in [length_s == length] for sure in ASKED
        ],
    }  # fmt: skip


def _share(*tests: np.ndarray) -> tuple[float, float, float]:
    passed = np.logical_and.reduce(tests)
    return wilson(int(passed.sum()), len(passed))
