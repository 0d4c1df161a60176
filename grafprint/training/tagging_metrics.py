"""How well a tagger ranks clips: mean average precision and d-prime."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm, rankdata


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean of the precision at each right clip, clips ``[n]`` sorted by score; NaN if none is.

    Clips of the same score are counted together, so that their order does not matter.
    """
    if not right.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    ends = np.append(np.nonzero(np.diff(scores[order]))[0], len(scores) - 1)
    precision = hits[ends] / (ends + 1)
    found = np.diff(hits[ends], prepend=0)
    return float((precision * found).sum() / hits[-1])


def roc_auc(scores: np.ndarray, right: np.ndarray) -> float:
    """The probability that a right clip scores higher than a wrong one; NaN if either is missing.

    Equal scores count half.
    """
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return math.nan
    ranks = rankdata(scores)[right].sum() - positives * (positives + 1) / 2
    return float(ranks / (positives * negatives))


def d_prime(auc: float) -> float:
    """How far apart two normal distributions are that give this area: ``sqrt(2) Phi^-1(auc)``."""
    return float(math.sqrt(2) * norm.ppf(auc))


def tagging_scores(scores: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """``mAP`` and ``d_prime`` over labels, of scores and targets ``[n, S]``.

    Targets count as right from 0.5; NaN ones are left out. Labels without a right clip count for
    nothing, d-prime is that of the mean area.
    """
    precisions, areas = [], []
    for label in range(scores.shape[1]):
        known = ~np.isnan(targets[:, label])
        right = targets[known, label] >= 0.5
        precisions.append(average_precision(scores[known, label], right))
        areas.append(roc_auc(scores[known, label], right))
    if np.isnan(precisions).all():
        return {"mAP": math.nan, "d_prime": math.nan}
    area = np.nanmean(areas) if not np.isnan(areas).all() else math.nan
    return {"mAP": float(np.nanmean(precisions)), "d_prime": d_prime(float(area))}
