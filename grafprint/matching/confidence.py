"""The confidence of a match: a probability from score, clip length and library size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import expit, logit

# Wrong tracks score higher for short clips and in large libraries. The lead over the next track
# adds little to these: when fitted with them, its weight was small and negative
# (benchmarks/calibration.py).
_FITTED_LENGTHS_S = (1.0, 10.0)  # longer clips count as the longest


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a match being right, if half of the clips are not in the library.

    The log-odds are linear in the score and in the logarithms of the clip's length and the
    library's size. ``threshold`` is the confidence that an answer needs by default.
    """

    intercept: float
    per_score: float
    per_log_second: float
    per_log_size: float
    threshold: float

    def confidence(self, score: float, duration_s: float, fingerprints: int) -> float:
        """The probability (0..1) that a match with this ``score`` is right."""
        return float(expit(self.per_score * score + self._rest(duration_s, fingerprints)))

    def score_needed(
        self, duration_s: float, fingerprints: int, confidence: float | None = None
    ) -> float:
        """The score at which a match is as confident as ``confidence`` (0 to 1, both excluded)."""
        wanted = float(logit(self.threshold if confidence is None else confidence))
        return (wanted - self._rest(duration_s, fingerprints)) / self.per_score

    def _rest(self, duration_s: float, fingerprints: int) -> float:
        shortest_s, longest_s = _FITTED_LENGTHS_S
        length_s = min(max(duration_s, shortest_s), longest_s)
        return (
            self.intercept
            + self.per_log_second * math.log(length_s)
            + self.per_log_size * math.log(max(1, fingerprints) / 1e5)
        )


# By benchmarks/calibration.py, for the bundled network.
CALIBRATION = Calibration(
    intercept=-19.27,
    per_score=30.53,
    per_log_second=2.69,
    per_log_size=-0.6,
    threshold=0.885,
)
