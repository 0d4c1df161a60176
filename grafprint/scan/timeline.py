"""What plays when in sound that goes on for hours: fingerprints in, plays out, in bounded memory.

The last seconds are looked up over and over (grafprint/matching). What agrees from one query step
to the next - one track, on one line through the times of recording and track - is a play. Its start
and end are then read off the similarity along that line, fingerprint by fingerprint.
"""

from __future__ import annotations

import base64
import math
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import numpy as np

from grafprint import matching
from grafprint.library.records import Track
from grafprint.matching import alignment
from grafprint.matching.alignment import Candidates
from grafprint.matching.collection import Collection
from grafprint.matching.confidence import CALIBRATION
from grafprint.scan.plays import Play, merge_rivals, rivals

_NEAR = np.arange(-2, 3)  # hops from where a play is expected that are looked at
_STRANGER = 0.15  # similarity of fingerprints that have nothing to do with each other
_SPEED_NEEDS_S = 15.0  # of a play, to tell its speed
_SNAP_S = 0.5  # this near to the beginning or end of a track a play has all of it


@dataclass(frozen=True)
class TimelineConfig:
    """How sound is followed; seconds."""

    look_s: float = 5.0  # how much is looked up at a time
    every_s: float = 2.0  # between two looks
    patience_s: float = 6.0  # for so long a play may go unheard, under speech for instance
    least_s: float = 3.0  # shorter plays are not reported
    # An open play goes on at a lower score than a new one needs.
    continues_at: float = 0.75  # of the threshold


@dataclass(frozen=True)
class _Look:
    """Segment ``index`` of the recording meets place ``place`` (in hops, fractional) of a track."""

    index: int
    place: float
    score: float
    strong: bool


@dataclass
class _Line:
    """A play that may still go on."""

    track: Track
    looks: list[_Look] = field(default_factory=list)
    start: tuple[int, float] | None = None  # (index, place), once established

    @property
    def established(self) -> bool:
        """Whether it is heard for sure: at two looks."""
        return sum(look.strong for look in self.looks) >= 2

    @property
    def score(self) -> float:
        return float(np.mean([look.score for look in self.looks]))

    def speed(self, hop_s: float) -> float:
        """Places per segment, 1 while there is too little to tell."""
        first, last = self.looks[0], self.looks[-1]
        if (last.index - first.index) * hop_s < _SPEED_NEEDS_S:
            return 1.0
        indices, places = np.array([(look.index, look.place) for look in self.looks]).T
        return float(np.polyfit(indices, places, 1)[0])

    def places(self, indices: np.ndarray, hop_s: float, near: _Look | None = None) -> np.ndarray:
        """Where in the track segments should be, by the look ``near`` (the last one)."""
        near = near or self.looks[-1]
        return near.place + self.speed(hop_s) * (indices - near.index)

    def place(self, index: int, hop_s: float, near: _Look | None = None) -> float:
        """The same for one segment."""
        return float(self.places(np.array(index), hop_s, near))


class Timeline:
    """Follows a recording as its fingerprints arrive, from the first on and one every hop."""

    def __init__(self, library: Collection, config: TimelineConfig | None = None) -> None:
        """Begin at second 0. Raises MatchError if the library is empty."""
        if not len(library):
            raise matching.MatchError(f"the library {library.location} is empty: index some music")
        self.config = config or TimelineConfig()
        self._library = library
        c, hop_s = self.config, library.hop_s
        self._look = max(1, round((c.look_s - library.window_s) / hop_s) + 1)
        self._every = max(1, round(c.every_s / hop_s))
        self._patience = round(c.patience_s / hop_s)
        self._kept = 3 * self._look + self._patience + 2 * self._every
        self._recent = np.empty((0, library.dim), np.float32)  # the last fingerprints
        self._end = 0  # index of the next one
        self._looked = 0  # up to where there was a look
        self._open: list[_Line] = []
        self._finished: list[Play] = []

    @property
    def heard_s(self) -> float:
        """Seconds of the recording so far."""
        return self._end * self._library.hop_s + self._library.window_s if self._end else 0.0

    @property
    def segments(self) -> int:
        """How many fingerprints were taken."""
        return self._end

    @property
    def playing(self) -> list[Play]:
        """What is heard now, as known so far, best first."""
        plays = [self._play(line, self._end - 1) for line in self._open if line.established]
        return sorted(plays, key=lambda play: -play.score)

    def push(self, fingerprints: np.ndarray) -> list[Play]:
        """Take the next fingerprints ``[m, dim]``; the plays that are now over and certain."""
        for part in _portions(fingerprints, self._every):
            self._recent = np.concatenate([self._recent, part])[-self._kept :]
            self._end += len(part)
            if self._end - self._looked >= self._every and self._end >= self._look:
                self._looked = self._end
                self._look_up()
        return self._settled()

    def finish(self) -> list[Play]:
        """The end of the recording: the plays that are left."""
        if self._looked < self._end and len(self._recent) >= self._look:
            self._look_up()
        for line in self._open:
            self._close(line)
        self._open = []
        return self._settled()

    # Interrupting -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that a later :meth:`resumed` needs, as plain values."""
        recent = self._recent.astype("<f4").tobytes()
        return {
            "subject": self._subject(),
            "end": self._end,
            "looked": self._looked,
            "recent": base64.b64encode(recent).decode("ascii"),
            "open": [
                [line.track.id, [astuple(look) for look in line.looks], line.start]
                for line in self._open
            ],
            "finished": [play.numbers() for play in self._finished],
        }

    @classmethod
    def resumed(
        cls, library: Collection, state: dict[str, Any], config: TimelineConfig | None = None
    ) -> Timeline:
        """Go on from a :meth:`state`. ValueError if it is of another library or configuration."""
        timeline = cls(library, config)
        if state["subject"] != timeline._subject():
            raise ValueError("it was begun with another library, or other settings")
        recent = np.frombuffer(base64.b64decode(state["recent"]), "<f4")
        timeline._recent = recent.reshape(-1, library.dim).astype(np.float32)
        timeline._end, timeline._looked = state["end"], state["looked"]
        for track, looks, start in state["open"]:
            line = _Line(library.track(track), [_Look(*look) for look in looks])
            line.start = (start[0], start[1]) if start else None
            timeline._open.append(line)
        timeline._finished = [Play.of_numbers(library, numbers) for numbers in state["finished"]]
        return timeline

    def _subject(self) -> list[Any]:
        library = self._library
        return [library.library_id, library.rows, asdict(self.config)]

    # Looking ------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        index = self._end - self._look
        queries = self._recent[-self._look :]
        positions = np.flatnonzero(queries.any(axis=1))
        if len(positions) > self._look // 2:
            with self._library.locked():
                self._follow(index, queries, positions)
        for line in [line for line in self._open if self._over(line, index)]:
            self._open.remove(line)
            self._close(line)

    def _follow(self, index: int, queries: np.ndarray, positions: np.ndarray) -> None:
        answer = matching.identify(self._library, queries, top_k=5)
        threshold = CALIBRATION.score_needed(self.config.look_s, len(self._library))
        now: dict[int, float] = {}
        for line in self._open:
            look = self._expected(line, index, queries[positions], positions)
            if look and look.score >= self.config.continues_at * threshold:
                line.looks.append(
                    _Look(look.index, look.place, look.score, look.score >= threshold)
                )
                now[line.track.id] = max(look.score, now.get(line.track.id, 0.0))
                if line.established and line.start is None:
                    line.start = self._edge(line, -1)
        for match in answer.matches:
            if match.score < (answer.threshold if match is answer.best else threshold):
                continue
            # A track that repeats itself fits in several places; the one that it has is kept.
            if match.score < now.get(match.track.id, 0.0) + 0.1:
                continue
            place = match.start_s / self._library.hop_s
            self._open.append(_Line(match.track, [_Look(index, place, match.score, True)]))

    def _expected(
        self, line: _Line, index: int, queries: np.ndarray, positions: np.ndarray
    ) -> _Look | None:
        """How well an open play goes on; None where its track is over."""
        expected = line.place(index, self._library.hop_s)
        row = line.track.first + round(expected)
        first, count = np.full(len(_NEAR), line.track.first), np.full(len(_NEAR), line.track.count)
        around = Candidates(row + _NEAR, first, count)
        terms = alignment.similarities(self._library, queries, positions, around)
        inside = (~np.isnan(terms)).sum(axis=1)
        if inside.min() < alignment.MIN_OVERLAP * len(positions):
            return None
        means = np.nanmean(terms, axis=1)
        best = int(means.argmax())
        place = around.take(np.array([best]))
        fraction = alignment.refine(self._library, queries, positions, place)
        found = float(place.starts[0] - line.track.first) + fraction
        return _Look(index, found, float(means[best]), True)

    def _over(self, line: _Line, index: int) -> bool:
        unheard = index - line.looks[-1].index
        return unheard > (self._patience if line.established else 2 * self._every)

    # Beginnings and ends ------------------------------------------------------------------------

    def _close(self, line: _Line) -> None:
        if not line.established:
            return
        if line.start is None:
            line.start = self._edge(line, -1)
        play = self._play(line, None)
        if play.end_s - play.start_s >= self.config.least_s:
            self._finished.append(play)

    def _play(self, line: _Line, end: int | None) -> Play:
        """The play of a line up to segment ``end``, or to where it is heard to end."""
        hop_s, window_s = self._library.hop_s, self._library.window_s
        speed = line.speed(hop_s)
        first = line.start or self._edge(line, -1)
        last = self._edge(line, 1) if end is None else (end, line.place(end, hop_s))
        # A segment is like its track as soon as half of it is of the track.
        half_s = 0.5 * window_s
        start_s, end_s = (index * hop_s + half_s for index, _ in (first, last))
        from_s, to_s = (place * hop_s + half_s * speed for _, place in (first, last))
        if first[0] == 0:  # heard from the recording's beginning on
            start_s, from_s = start_s - half_s, from_s - half_s * speed
        if last[0] == self._end - 1:  # or to its end
            end_s, to_s = end_s + half_s, to_s + half_s * speed
        if from_s < half_s * speed + _SNAP_S:  # it is the track's beginning
            begins_s = max(0.0, start_s - from_s / speed)
            start_s, from_s = begins_s, from_s - (start_s - begins_s) * speed
        left_s = line.track.duration_s - to_s
        if left_s < half_s * speed + _SNAP_S:
            ends_s = min(self.heard_s, end_s + left_s / speed)
            end_s, to_s = ends_s, to_s + (ends_s - end_s) * speed
        return Play(
            line.track, start_s, max(start_s, end_s), max(0.0, from_s),
            min(line.track.duration_s, to_s), speed, line.score,
        )  # fmt: skip

    def _edge(self, line: _Line, direction: int) -> tuple[int, float]:
        """The last segment of a line before its first look (-1) or after its last (1), and place.

        Where the sum of similarities, less half-way between the play's own and a stranger's, is
        largest.
        """
        hop_s = self._library.hop_s
        near = line.looks[0 if direction < 0 else -1]
        middle = near.index + self._look // 2
        oldest = self._end - len(self._recent)
        reach = range(middle, oldest - 1 if direction < 0 else self._end, direction)
        indices = np.array(reach, np.int64)
        places = np.round(line.places(indices, hop_s, near)).astype(np.int64)
        inside = (places >= 0) & (places < line.track.count)
        stop = len(inside) if inside.all() else int(np.argmin(inside))
        indices, places = indices[:stop], places[:stop]
        if not stop:
            return middle, line.place(middle, hop_s, near)
        heard = self._recent[indices - oldest]
        terms = (heard * self._library.vectors(line.track.first + places)).sum(axis=1)
        terms -= (line.score + _STRANGER) / 2
        terms[~heard.any(axis=1)] = 0.0  # silence says nothing
        edge = int(indices[int(np.cumsum(terms).argmax())])
        return edge, line.place(edge, hop_s, near)

    # Reporting ----------------------------------------------------------------------------------

    def _settled(self) -> list[Play]:
        """Finished plays with which none that is still open competes, rivals merged."""
        still = self.playing
        waiting = [p for p in self._finished if any(rivals(p, other) for other in still)]
        certain = [p for p in self._finished if not any(rivals(p, q) for q in [*still, *waiting])]
        self._finished = [p for p in self._finished if p not in certain]
        return merge_rivals(certain)


def _portions(fingerprints: np.ndarray, size: int) -> list[np.ndarray]:
    pieces = math.ceil(len(fingerprints) / size)
    return np.array_split(fingerprints, pieces) if pieces else []
