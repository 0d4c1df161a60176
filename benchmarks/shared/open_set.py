"""How far confidences can be trusted: calibration, and false against true positive rates.

Every query of an evaluation counts twice: as it is, and as if its track were not in the library,
when the best other track would be reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.report import Report

THRESHOLDS = (0.5, 0.8, 0.9, 0.95, 0.995, 0.999)  # of the curve, beside the default


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """Expected calibration error, and the non-empty bins of equal width.

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
    """The calibration in use, measured on the report's queries."""
    calibration = report.config.calibration
    confidence = calibration.confidence
    lengths, present, right, absent = [], [], [], []
    for cell in report.cells:
        length = cell.setting.length_s
        for o in cell.outcomes:
            lengths.append(length)
            present.append(confidence(o.score, length, report.fingerprints, o.score - o.lead))
            right.append(o.right_track())
            rival = o.wrong_score - o.wrong_lead
            absent.append(confidence(o.wrong_score, length, report.fingerprints, rival))
    length_s, ours, is_right, others = map(np.array, (lengths, present, right, absent))
    everything = np.concatenate([ours, others])
    return {
        **reliability(everything, np.concatenate([is_right, np.zeros(len(others), bool)])),
        "curve": [
            {"length_s": length, "confidence": confidence,
             "default": confidence == calibration.at(length).threshold,
             "found": _share(ours[here] >= confidence, is_right[here]),
             "wrong_when_present": _share(ours[here] >= confidence, ~is_right[here]),
             "wrong_when_absent": _share(others[here] >= confidence)}
            for length in sorted(set(lengths)) for here in [length_s == length]
            for confidence in sorted({*THRESHOLDS, calibration.at(length).threshold})
        ],
    }  # fmt: skip


def _share(*tests: np.ndarray) -> tuple[float, float, float]:
    passed = np.logical_and.reduce(tests)
    return wilson(int(passed.sum()), len(passed))
