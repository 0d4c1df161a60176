"""When a sound is to be heard: intervals from its envelope."""

from __future__ import annotations

import numpy as np

from grafprint.audio import SAMPLE_RATE

_FRAME = SAMPLE_RATE // 50  # 20 ms
_BELOW_DB = 35.0  # of the loudest frame: quieter is not heard
_JOIN_S = 0.3  # shorter pauses do not part a sound


def envelope_db(samples: np.ndarray) -> np.ndarray:
    """Level of each frame of 20 ms, in dB; the last one may be shorter."""
    starts = np.arange(0, len(samples), _FRAME)
    sums = np.add.reduceat(np.square(samples, dtype=np.float64), starts)
    lengths = np.diff(np.append(starts, len(samples)))
    return np.asarray(10 * np.log10(sums / lengths + 1e-12))


def intervals(samples: np.ndarray, below_db: float = _BELOW_DB) -> list[tuple[float, float]]:
    """Start and end, in seconds, of each stretch within ``below_db`` of the loudest frame.

    Pauses of less than 0.3 s do not part stretches. A silent sound has none.
    """
    if not np.any(samples):
        return []
    level = envelope_db(samples)
    heard = np.nonzero(level >= level.max() - below_db)[0]
    breaks = np.nonzero(np.diff(heard) * _FRAME > _JOIN_S * SAMPLE_RATE)[0]
    firsts, lasts = heard[np.append(0, breaks + 1)], heard[np.append(breaks, len(heard) - 1)]
    ends = np.minimum((lasts + 1) * _FRAME, len(samples))
    return [
        (float(first * _FRAME / SAMPLE_RATE), float(end / SAMPLE_RATE))
        for first, end in zip(firsts, ends, strict=True)
    ]


def active_span(samples: np.ndarray) -> tuple[int, int]:
    """First and last sample of what is heard (:func:`intervals`), with 55 dB for quiet tails."""
    found = intervals(samples, 55.0)
    if not found:
        return 0, 0
    return round(found[0][0] * SAMPLE_RATE), round(found[-1][1] * SAMPLE_RATE)


def level_db(samples: np.ndarray) -> float:
    """Level while the sound is heard, in dB; -inf for silence."""
    if not np.any(samples):
        return -np.inf
    level = envelope_db(samples)
    heard = level[level >= level.max() - 20]
    return float(10 * np.log10(np.mean(10 ** (heard / 10))))
