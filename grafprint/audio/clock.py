"""The time that a file's timestamps give its audio: where sound is missing, and how much."""

from __future__ import annotations

# Shorter holes are rounding of timestamps. Up to SURE_S a hole is filled whatever the header says;
# up to MOST_S if the header's length leaves room for it.
LEAST_S, SURE_S, MOST_S = 0.1, 10.0, 3600.0
_MOST_FILLED_S = 6 * 3600.0  # in total, lest a small malicious file becomes endless silence
_BACK_S = 1.0  # timestamps that go back this far have begun anew, as in a chain of files


class Clock:
    """Follows the decoded frames; ``heard_s`` is the length so far, holes included.

    Timestamps count from ``start_s``; the last one should be near ``end_s`` (None: not known).
    ``filled_s`` is the length of the holes, and ``unfilled`` are those that were not believed.
    """

    def __init__(self, start_s: float, end_s: float | None) -> None:
        self._origin_s, self._end_s = start_s, end_s
        self.filled_s = 0.0
        self.heard_s = self.last_s = 0.0  # ``last_s``: the latest timestamp, at a frame's end
        self.unfilled: list[float] = []

    def hole_s(self, time_s: float | None) -> float:
        """The seconds of silence that are due before a frame of the time ``time_s``."""
        if time_s is None:
            return 0.0
        self.last_s = max(self.last_s, time_s)
        hole_s = time_s - self._origin_s - self.heard_s
        if not self.heard_s and hole_s < LEAST_S:  # rounding: the first frame is the beginning
            self._origin_s = time_s
            return 0.0
        if -_BACK_S <= hole_s < LEAST_S:
            return 0.0
        if hole_s >= LEAST_S and self._is_credible(hole_s, time_s):
            self.filled_s += hole_s
            self.heard_s += hole_s
            return hole_s
        if hole_s > 0:
            self.unfilled.append(hole_s)
        self._origin_s += hole_s
        return 0.0

    def advance(self, seconds: float) -> None:
        """Note that so much was decoded."""
        self.heard_s += seconds
        self.last_s += seconds

    def _is_credible(self, hole_s: float, time_s: float) -> bool:
        if hole_s <= SURE_S:
            return True
        if hole_s > MOST_S or self.filled_s + hole_s > _MOST_FILLED_S:
            return False
        return self.heard_s == 0 or self._end_s is None or time_s <= self._end_s + 1
