"""The confidence of a match: a probability from its evidence, clip length and library size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit


@dataclass(frozen=True)
class Knot:
    """The model for clips of one length; ``threshold`` is the confidence needed by default."""

    length_s: float
    intercept: float
    per_score: float
    per_lead: float
    threshold: float


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a match being right, if half of the clips are not in the library.

    The log-odds are linear in the evidence (score, or score and landmarks), in its lead over the
    best other music, and in the logarithm of the library's size. The weights and the threshold
    depend on the clip's length: they are fitted at some lengths (``knots``, shortest first), and
    linear in its logarithm between them. Longer clips count as the longest. ``alone`` is the model
    without the lead, for a match that has no rival: a lead over nothing is no lead.
    """

    per_log_size: float
    knots: tuple[Knot, ...]
    alone: Calibration | None = None

    def confidence(
        self, score: float, duration_s: float, fingerprints: int, rival: float | None = None
    ) -> float:
        """The probability (0..1) that a match with this evidence is right.

        ``rival`` is the evidence of the best other music; None if there is none.
        """
        if rival is None and self.alone:
            return self.alone.confidence(score, duration_s, fingerprints)
        at = self.at(duration_s)
        odds = at.intercept + at.per_score * score + self._of_size(fingerprints)
        if rival is not None:
            odds += at.per_lead * (score - rival)
        return float(expit(odds))

    def score_needed(
        self,
        duration_s: float,
        fingerprints: int,
        confidence: float | None = None,
        rival: float | None = None,
        looks: int = 1,
    ) -> float:
        """The evidence at which a match is as confident as ``confidence`` (0 to 1, excluded).

        None: as it needs by default. If it is the best of several ``looks``, each of which may be
        wrong, its odds must be as many times as high.
        """
        if rival is None and self.alone:
            return self.alone.score_needed(duration_s, fingerprints, confidence, None, looks)
        at = self.at(duration_s)
        wanted = float(logit(at.threshold if confidence is None else confidence)) + math.log(looks)
        rest = wanted - at.intercept - self._of_size(fingerprints)
        if rival is None:
            return rest / at.per_score
        return (rest + at.per_lead * rival) / (at.per_score + at.per_lead)

    def at(self, duration_s: float) -> Knot:
        """The weights for clips of this length."""
        lengths = np.log([knot.length_s for knot in self.knots])
        where = math.log(max(duration_s, self.knots[0].length_s))
        names = ("length_s", "intercept", "per_score", "per_lead", "threshold")
        values = [[getattr(knot, name) for knot in self.knots] for name in names]
        return Knot(*(float(np.interp(where, lengths, v)) for v in values))

    def _of_size(self, fingerprints: int) -> float:
        return self.per_log_size * math.log(max(1, fingerprints) / 1e5)


# Of fingerprints alone, by benchmarks/calibration.py; for the bundled network.
FINGERPRINTS = Calibration(
    -0.6,
    (
        Knot(1.0, -19.27, 30.53, 0.0, 0.885),
        Knot(10.0, -19.27 + 2.69 * math.log(10.0), 30.53, 0.0, 0.885),
    ),
)
# Where landmarks decide, too, by benchmarks/calibration.py --landmarks.
LANDMARKS = Calibration(
    -0.09,
    (
        Knot(1.0, -5.91, 3.4, 20.46, 0.707),
        Knot(2.0, -5.73, 3.21, 25.12, 0.755),
        Knot(3.0, -6.14, 3.73, 30.7, 0.621),
        Knot(5.0, -7.97, 8.34, 32.13, 0.5),
        Knot(10.0, -9.04, 13.22, 27.18, 0.5),
    ),
    Calibration(
        -0.77,
        (
            Knot(1.0, -12.81, 13.95, 0.0, 0.864),
            Knot(2.0, -13.56, 18.83, 0.0, 0.719),
            Knot(3.0, -13.32, 21.21, 0.0, 0.776),
            Knot(5.0, -15.74, 30.57, 0.0, 0.505),
            Knot(10.0, -14.95, 33.81, 0.0, 0.5),
        ),
    ),
)
