"""A play as it is followed: query steps on a line through the times of recording and track."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from grafprint.library.records import Track
from grafprint.scan.speed import slope


@dataclass(frozen=True)
class Hit:
    """A query step: segment ``index`` of the recording is at ``place`` (in hops) of a track.

    ``strong``: the score alone would identify the track.
    """

    index: int
    place: float
    score: float
    strong: bool


@dataclass
class Line:
    """A play that may continue."""

    track: Track
    hits: list[Hit] = field(default_factory=list)
    start: tuple[int, float] | None = None  # (index, place), once established
    end: tuple[int, float] | None = None  # likewise, of a short track that was heard whole
    apart: int = 1  # hops between two query steps that confirm it, at least,
    certain: float = 1.0  # or their mean score
    speed_needs_s: float = 15.0  # length from which its speed is estimated

    @property
    def established(self) -> bool:
        """Whether two query steps confirm it, or all of a short track."""
        strong = [hit for hit in self.hits if hit.strong]
        if self.end is not None or len(strong) < 2:
            return self.end is not None
        if strong[-1].index - strong[0].index >= self.apart:
            return True
        return float(np.mean([hit.score for hit in strong])) >= self.certain

    @property
    def score(self) -> float:
        """The mean score of its query steps."""
        return float(np.mean([hit.score for hit in self.hits]))

    def speed(self, hop_s: float) -> float:
        """Places per segment; 1 while the play is too short to tell."""
        first, last = self.hits[0], self.hits[-1]
        if (last.index - first.index) * hop_s < self.speed_needs_s:
            return 1.0
        indices, places = np.array([(hit.index, hit.place) for hit in self.hits]).T
        return slope(indices, places)

    def places(self, indices: np.ndarray, hop_s: float, near: Hit | None = None) -> np.ndarray:
        """The expected places of segments in the track, from the hit ``near`` (None: the last)."""
        near = near or self.hits[-1]
        return near.place + self.speed(hop_s) * (indices - near.index)

    def place(self, index: int, hop_s: float, near: Hit | None = None) -> float:
        """:meth:`places` of one segment."""
        return float(self.places(np.array(index), hop_s, near))
