"""Calibrate a tagger's probabilities on clips that it was not trained with (Platt scaling)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

# How far a label's own scale and bias may lie from those of all labels together: the standard
# deviations of normal priors. A label with few clips stays near the others.
_SCALE_SD, _BIAS_SD = 0.25, 1.0
_LEAST_SCALE = 0.05  # a higher logit never means a lower probability
_STEPS = 50


def fit_calibration(logits: np.ndarray, targets: np.ndarray) -> dict[str, list[float]]:
    """Scale and bias of each label: its probability is ``sigmoid(scale * logit + bias)``.

    Args:
        logits: ``[n, S]``, of held-out clips.
        targets: ``[n, S]`` from 0 to 1, NaN where nothing is known.

    Returns:
        ``scale`` and ``bias``, ``S`` numbers each, as ``calibration`` in the facts of
        :func:`~grafprint.models.taggers.save_tagger`. They maximise the likelihood of the targets
        with priors around the scale and bias that suit all labels together, so that a label
        without right clips has nearly those. How frequent labels are is learned too: the
        probabilities are right for clips in which they are as frequent as here.
    """
    known = ~np.isnan(targets)
    if not known.any():
        return {"scale": [1.0] * targets.shape[1], "bias": [0.0] * targets.shape[1]}
    common = _fit(logits[known], targets[known], np.array([1.0, 0.0]), np.array([1e-6, 1e-6]))
    precision = np.array([_SCALE_SD**-2, _BIAS_SD**-2])
    each = [
        _fit(logits[known[:, s], s], targets[known[:, s], s], common, precision)
        for s in range(targets.shape[1])
    ]
    return {"scale": [float(v[0]) for v in each], "bias": [float(v[1]) for v in each]}


def _fit(x: np.ndarray, y: np.ndarray, prior: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Scale and bias by Newton's method, from the prior's mean; each step no worse than before."""
    features = np.stack([x, np.ones_like(x)], axis=1).astype(np.float64)

    def loss(v: np.ndarray) -> float:
        z = features @ v
        return float(
            (np.logaddexp(0, z) - y * z).sum() + 0.5 * (precision * (v - prior) ** 2).sum()
        )

    at = prior.astype(np.float64)
    for _ in range(_STEPS):
        p = expit(features @ at)
        slope = features.T @ (p - y) + precision * (at - prior)
        bend = (features * (p * (1 - p))[:, None]).T @ features + np.diag(precision)
        step = np.linalg.solve(bend, slope)
        share = 1.0
        while share > 1e-4 and loss(at - share * step) > loss(at):
            share /= 2
        at = at - share * step
        if np.abs(share * step).max() < 1e-8:
            break
    return np.array([max(at[0], _LEAST_SCALE), at[1]])
