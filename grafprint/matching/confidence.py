"""The confidence of a match: a probability from its evidence, clip length and library size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit


@dataclass(frozen=True)
class Knot:
    """The model for clips of one length.

    ``rival`` is the evidence that other music has at least by chance, where there is enough of it;
    ``threshold`` the confidence needed by default.
    """

    length_s: float
    intercept: float
    per_score: float
    per_lead: float
    rival: float
    threshold: float


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a match being right, if half of the clips are not in the library.

    The log-odds are linear in the evidence (score, or score and landmarks), in its lead over the
    best other music, and in the logarithm of the library's size. The weights and the threshold
    depend on the clip's length: they are fitted at some lengths (``knots``, shortest first), and
    linear in its logarithm between them. Longer clips count as the longest. In a library of few
    tracks the best other music may have little evidence, or there is none: a lead over that says
    little, so it is never counted as larger than the one over a knot's ``rival``.
    """

    per_log_size: float
    knots: tuple[Knot, ...]

    def confidence(
        self, score: float, duration_s: float, fingerprints: int, rival: float | None = None
    ) -> float:
        """The probability (0..1) that a match with this evidence is right.

        ``rival`` is the evidence of the best other music; None if there is none.
        """
        at = self.at(duration_s)
        lead = score - max(at.rival, rival or 0.0)
        odds = at.intercept + at.per_score * score + at.per_lead * lead
        return float(expit(odds + self._of_size(fingerprints)))

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
        at = self.at(duration_s)
        wanted = float(logit(at.threshold if confidence is None else confidence)) + math.log(looks)
        rest = wanted - at.intercept - self._of_size(fingerprints)
        rest += at.per_lead * max(at.rival, rival or 0.0)
        return rest / (at.per_score + at.per_lead)

    def at(self, duration_s: float) -> Knot:
        """The weights for clips of this length."""
        lengths = np.log([knot.length_s for knot in self.knots])
        where = math.log(max(duration_s, self.knots[0].length_s))
        names = ("length_s", "intercept", "per_score", "per_lead", "rival", "threshold")
        values = [[getattr(knot, name) for knot in self.knots] for name in names]
        return Knot(*(float(np.interp(where, lengths, v)) for v in values))

    def _of_size(self, fingerprints: int) -> float:
        return self.per_log_size * math.log(max(1, fingerprints) / 1e5)


# Of fingerprints alone, by benchmarks/calibration.py; for the bundled network.
FINGERPRINTS = Calibration(
    -0.6,
    (
        Knot(1.0, -19.27, 30.53, 0.0, 0.0, 0.885),
        Knot(10.0, -19.27 + 2.69 * math.log(10.0), 30.53, 0.0, 0.0, 0.885),
    ),
)
# Where landmarks decide, too, by benchmarks/calibration.py --landmarks.
LANDMARKS = Calibration(
    -0.23,
    (
        Knot(1.0, -3.21, -0.28, 24.94, 0.62, 0.679),
        Knot(2.0, -3.84, 0.11, 28.57, 0.48, 0.734),
        Knot(3.0, -3.19, -1.61, 32.34, 0.4, 0.587),
        Knot(5.0, -6.84, 6.37, 30.4, 0.32, 0.5),
        Knot(10.0, -8.69, 12.71, 26.23, 0.25, 0.5),
    ),
)
