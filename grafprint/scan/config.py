"""How audio is followed, and how sure a look must be when there are several."""

from __future__ import annotations

from dataclasses import dataclass, replace

from grafprint.matching.confidence import FINGERPRINTS
from grafprint.scan.plays import PAUSE_S


@dataclass(frozen=True)
class TimelineConfig:
    """How audio is followed; times in seconds."""

    look_s: float = 5.0  # length of a query step
    every_s: float = 2.0  # between two query steps
    patience_s: float = PAUSE_S  # how long an open play may be inaudible, under speech for instance
    least_s: float = 3.0  # shorter plays are not reported
    # Two query steps confirm a play: this far apart at least, or with a mean score of this
    # confidence, since steps that share most of their audio may share an error.
    apart_s: float = 2.9
    certain: float = 0.97
    # The confidence that a query step needs to begin a play; None: that of a query.
    confidence: float | None = None
    # Length of a play from which its speed is estimated; it is 1 until then.
    speed_needs_s: float = 15.0
    # One look at a short track decides, not two, so it has to be surer than a query.
    whole: float = 0.995
    # An open play continues at a lower score than a new one needs: this share of the threshold.
    continues_at: float = 0.75

    def for_looks(self, looks: int) -> TimelineConfig:
        """The same for one of several looks at the same audio: each has to be surer."""
        return replace(
            self,
            confidence=surer(self.confidence, looks),
            certain=surer(self.certain, looks),
            whole=surer(self.whole, looks),
        )


def surer(confidence: float | None, looks: int) -> float:
    """The confidence that one of several looks needs, so that together they err as one does.

    Each look is one more chance of an error, so its odds must be as many times better. None is the
    default confidence of a query.
    """
    wanted = FINGERPRINTS.knots[0].threshold if confidence is None else confidence
    return looks * wanted / (1 + (looks - 1) * wanted)


def less_sure(confidence: float, looks: int) -> float:
    """The confidence of a match that is the best of several looks; undoes :func:`surer`."""
    return confidence / (looks - (looks - 1) * confidence)
