"""95 % intervals: of rates of independent queries or of clusters of them, and of any statistic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from scipy.stats import binomtest, norm

Rate = tuple[float, float, float]  # rate, low, high in 0..1


def wilson(passed: int, total: int) -> Rate:
    """A rate and its 95 % interval (Wilson, 1927): (rate, low, high) in 0..1."""
    interval = binomtest(passed, total).proportion_ci(0.95, "wilson")
    return passed / total, float(interval.low), float(interval.high)


def clustered(clusters: Iterable[tuple[int, int]]) -> Rate | None:
    """A rate and its 95 % interval from clusters of queries that are alike: (passed, total) each.

    The windows of one recording mostly pass or fail together, so they tell less than as many
    recordings would. This is Wilson's interval for the *effective* number of queries: so many
    independent ones would have the variance that is found between the clusters (Korn & Graubard,
    1998). It is found after adding one cluster that passed and one that failed, so that a few
    clusters that agree by chance are not trusted too far, and is never above the number of queries.
    None if there are no queries.
    """
    counted = np.array([c for c in clusters if c[1]], np.float64).reshape(-1, 2)
    passed, total = counted.sum(axis=0)
    if not total:
        return None
    typical = total / len(counted)
    counted = np.concatenate([counted, [[typical, typical], [0.0, typical]]])
    rate = counted[:, 0].sum() / counted[:, 1].sum()
    deviations = counted[:, 0] - rate * counted[:, 1]
    count = len(counted)
    variance = count / (count - 1) * np.square(deviations).sum() / counted[:, 1].sum() ** 2
    effective = min(float(total), float(rate * (1 - rate) / variance))
    return _wilson(float(passed / total), effective)


def bootstrap(
    statistic: Callable[[np.ndarray], float], count: int, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval (low, high) of a statistic of ``count`` clips: percentile bootstrap.

    ``statistic`` gets the numbers of clips, drawn with replacement; where it is NaN (a draw without
    any right clip), the draw is left out. Both are NaN if every draw is.
    """
    rng = np.random.default_rng(seed)
    drawn = [statistic(rng.integers(count, size=count)) for _ in range(rounds)]
    return percentiles(np.array(drawn))


def percentiles(drawn: np.ndarray) -> tuple[float, float]:
    """The 95 % interval (low, high) of what draws gave, without NaN; both NaN if all are."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return math.nan, math.nan
    # No mean of two draws: one may be infinite, as d-prime is.
    low, high = np.percentile(known, [2.5, 97.5], method="nearest")
    return float(low), float(high)


def _wilson(rate: float, total: float) -> Rate:
    """:func:`wilson` for any number of queries above 0."""
    z = float(norm.ppf(0.975))
    spread = z * z / total
    middle = (rate + spread / 2) / (1 + spread)
    half = math.sqrt(spread * rate * (1 - rate) + spread**2 / 4) / (1 + spread)
    # Rounding must not put the rate outside.
    return rate, min(rate, max(0.0, middle - half)), max(rate, min(1.0, middle + half))


def plain(rate: Rate | None) -> list[float | None] | None:
    """A rate and its interval for JSON, which has no NaN and no infinity."""
    if rate is None:
        return None
    return [round(value, 5) if math.isfinite(value) else None for value in rate]


def percent(rate: Rate, digits: int = 1) -> str:
    """A rate and its interval as text, in percent."""
    middle, low, high = (f"{100 * part:.{digits}f}" for part in rate)
    return f"{middle} ({low}-{high})"
