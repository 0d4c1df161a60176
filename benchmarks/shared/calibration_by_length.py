"""A logistic model for each length of clip, on evidence and its lead, and how reliable it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.shared.open_set import reliability
from grafprint.evaluation.intervals import wilson
from grafprint.evaluation.report import Report
from grafprint.matching.confidence import Calibration, Knot

_LEAST = 0.5  # the lowest threshold: no match is named that is rather wrong than right


def kinds_of(report: Report, kept: list[int]) -> np.ndarray:
    """The kind of clip of each answer, [2 n]: of each query as present and as absent."""
    kinds = []
    for cell in report.cells:
        setting = cell.setting
        noise = "no noise" if setting.snr_db is None else f"{setting.snr_db:g} dB"
        plain = noise + (" and reverb" if setting.reverb else "")
        kinds += [setting.rerecording or plain] * (2 * len(kept))
    return np.array(kinds)


def by_length(
    rows: np.ndarray, right: np.ndarray, kinds: np.ndarray, wrong_names: float
) -> dict[str, Any]:
    """Fit and measure; ``rows [n, 5]`` are score, log length, log size, lead, and presence.

    A lead counts no more than one over the median of other music in the smallest library: in one
    of few tracks the best of these is no measure of chance.
    The thresholds let through ``wrong_names`` of the absent clips of each length, of all kinds and
    in all libraries together.
    """
    rows = rows.copy()
    lengths, rivals = np.unique(rows[:, 1]), []
    for length in lengths:
        here = rows[:, 1] == length
        score, _, log_size, lead, present = rows[here].T
        some = (present == 1) & (log_size == log_size.min())
        rivals.append(round(float(np.median((score - lead)[some])), 2))
        rows[here, 3] = np.minimum(lead, score - rivals[-1])
    calibration, confidences = _fit(rows, right, wrong_names)
    without = rows.copy()
    without[:, 3] = 0
    for knot, rival in zip(calibration["knots"], rivals, strict=True):
        knot.insert(-1, rival)
    table = []
    for length, knot in zip(lengths, calibration["knots"], strict=True):
        here, absent = rows[:, 1] == length, rows[:, 4] == 0
        named = confidences >= knot[-1]
        for kind in dict.fromkeys(kinds):
            of_kind = here & (kinds == kind)
            found = of_kind & right
            table.append({
                "length_s": knot[0],
                "kind": str(kind),
                "right": _share(right[of_kind & ~absent]),
                "named_of_right": _share(named[found]),
                "named_when_absent": _share(named[of_kind & absent]),
            })  # fmt: skip
    return {
        "calibration": calibration,
        "log_loss": float(log_loss(right, confidences)),
        "log_loss_score_only": float(log_loss(right, _fit(without, right, wrong_names)[1])),
        "kinds": table,
        **reliability(confidences, right),
    }


def _fit(
    rows: np.ndarray, right: np.ndarray, wrong_names: float
) -> tuple[dict[str, Any], np.ndarray]:
    """The numbers of :func:`calibration_of`, and the confidence of each answer, [n]."""
    score, log_length, log_size, lead, present = rows.T
    lengths = np.unique(log_length)
    of_length = np.stack([log_length == length for length in lengths], axis=1).astype(float)
    parts = (of_length, of_length * score[:, None], of_length * lead[:, None], log_size[:, None])
    features = np.concatenate(parts, axis=1)
    model = LogisticRegression(C=1e3, fit_intercept=False, max_iter=50_000).fit(features, right)
    # Rounded before use, so that the constants in the code are those that were measured.
    weights = np.round(model.coef_[0], 2)
    confidences = expit(features @ weights)
    knots = []
    for length, *numbers in zip(lengths, *weights[:-1].reshape(3, -1).tolist(), strict=True):
        absent = (log_length == length) & (present == 0)
        allowed = float(np.quantile(confidences[absent], 1 - wrong_names))
        threshold = float(np.ceil(1e3 * max(_LEAST, allowed)) / 1e3)
        knots.append([round(float(np.exp(length)), 3), *numbers, threshold])
    return {"per_log_size": float(weights[-1]), "knots": knots}, confidences


def calibration_of(numbers: dict[str, Any]) -> Calibration:
    """The calibration that was written."""
    return Calibration(numbers["per_log_size"], tuple(Knot(*knot) for knot in numbers["knots"]))


def _share(passed: np.ndarray) -> tuple[float, float, float]:
    return wilson(int(passed.sum()), len(passed))
