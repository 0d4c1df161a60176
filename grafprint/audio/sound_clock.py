"""The times of day at which live sound was heard, although stations break off and files are old."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

_MARKS = 1000  # how many are kept; times before the oldest count from it
# A play that ends (or begins) this close to a break-off belongs to the sound before (after) it.
_NEAR_S = 1.0


def now() -> datetime:
    """The time of day, with its time zone."""
    return datetime.now().astimezone()


class SoundClock:
    """Turns seconds of sound into times of day, by marks at the start and after each interruption.

    Without a mark, the sound counts as begun when the clock was made.
    """

    def __init__(self) -> None:
        self._made = now()
        self._marks: deque[tuple[float, datetime]] = deque(maxlen=_MARKS)

    def mark(self, sound_s: float, at: datetime) -> None:
        """Note that second ``sound_s`` of the sound was heard ``at`` this time. In order."""
        self._marks.append((sound_s, at))

    def began(self, sound_s: float) -> datetime:
        """The time of day at which something began."""
        return self._time(sound_s, sound_s + _NEAR_S)

    def ended(self, sound_s: float) -> datetime:
        """The time of day at which something ended."""
        return self._time(sound_s, sound_s - _NEAR_S)

    def _time(self, sound_s: float, before_s: float) -> datetime:
        """The time by the last mark before ``before_s``, or else by the oldest."""
        if not self._marks:
            return self._made + timedelta(seconds=sound_s)
        at_s, at = self._marks[0]
        for mark_s, time in self._marks:
            if mark_s <= before_s:
                at_s, at = mark_s, time
                sound_s = max(sound_s, mark_s)  # begun just before the mark: moved to it
        return at + timedelta(seconds=sound_s - at_s)
