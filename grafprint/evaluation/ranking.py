"""How well scores rank clips, with the clips weighted: for bootstrap intervals of many labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Ranking(NamedTuple):
    """Average precision and area under the ROC curve, ``[R]`` each: one for each weighting.

    The average precision is NaN without a right clip, the area without a right or a wrong one.
    """

    average_precision: np.ndarray
    area: np.ndarray


def rank(scores: np.ndarray, right: np.ndarray, weights: np.ndarray) -> Ranking:
    """Rank clips by ``scores [n]``, of which ``right [n]`` are right, with each of the weights.

    These are ``[R, n]``: R times one for each clip. A weight of 2 counts a clip twice. With all of
    1 they are what
    :func:`~grafprint.training.tagging_metrics.average_precision` and
    :func:`~grafprint.training.tagging_metrics.roc_auc` give; clips of equal scores count together.
    """
    order = np.argsort(-scores, kind="stable")
    sorted_scores, drawn = scores[order], weights[:, order]
    ends = np.append(np.nonzero(np.diff(sorted_scores))[0], len(scores) - 1)
    hits = np.cumsum(drawn * right[order], axis=1, dtype=np.float64)[
        :, ends
    ]  # right clips down to here
    total = np.cumsum(drawn, axis=1, dtype=np.float64)[:, ends]
    found = np.diff(hits, axis=1, prepend=0.0)  # right clips of this score
    wrong = np.diff(total - hits, axis=1, prepend=0.0)
    positives, negatives = hits[:, -1], (total - hits)[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, hits / total, 0.0)
        average = (precision * found).sum(axis=1) / positives
        area = (wrong * (hits - found / 2)).sum(axis=1) / (positives * negatives)
    return Ranking(average, area)


def draws(clips: int, rounds: int, seed: int) -> np.ndarray:
    """How often each of ``clips`` is drawn, in ``rounds`` draws with replacement: ``[R, n]``."""
    rng = np.random.default_rng(seed)
    even = np.full(clips, 1 / clips)
    return rng.multinomial(clips, even, size=rounds).astype(np.float32)
