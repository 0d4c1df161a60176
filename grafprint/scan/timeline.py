"""What plays when in hours of audio: fingerprints in, plays out, in bounded memory.

Every few seconds the latest audio is identified (grafprint/matching): a query step. Steps that
agree - on one track, and on one line through the times of recording and track - make a play. Its
start and end are then found by the similarity along that line, fingerprint by fingerprint.
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
from grafprint.matching.confidence import FINGERPRINTS
from grafprint.scan.plays import Play, merge_rivals, rivals
from grafprint.scan.speed import slope

_NEAR = np.arange(-2, 3)  # hops around the expected place of a play that are compared
_UNRELATED = 0.15  # cosine similarity of unrelated fingerprints
_SPEED_NEEDS_S = 15.0  # length of a play from which its speed is estimated
# One look at a short track decides, not two, so it has to be surer than a query.
_WHOLE_CONFIDENCE = 0.995
_WHOLE_SHARE = 0.9  # of a short track's segments must have been heard
_SNAP_S = 0.5  # a play this close to the beginning or end of its track is extended to it


@dataclass(frozen=True)
class TimelineConfig:
    """How audio is followed; times in seconds."""

    look_s: float = 5.0  # length of a query step
    every_s: float = 2.0  # between two query steps
    patience_s: float = 6.0  # how long an open play may be inaudible, under speech for instance
    least_s: float = 3.0  # shorter plays are not reported
    # Two query steps confirm a play: this far apart at least, or with a mean score of this
    # confidence, since steps that share most of their audio may share an error.
    apart_s: float = 2.9
    certain: float = 0.97
    # An open play continues at a lower score than a new one needs: this share of the threshold.
    continues_at: float = 0.75


@dataclass(frozen=True)
class _Hit:
    """A query step: segment ``index`` of the recording is at ``place`` (in hops) of a track.

    ``strong``: the score alone would identify the track.
    """

    index: int
    place: float
    score: float
    strong: bool


@dataclass
class _Line:
    """A play that may continue."""

    track: Track
    hits: list[_Hit] = field(default_factory=list)
    start: tuple[int, float] | None = None  # (index, place), once established
    end: tuple[int, float] | None = None  # likewise, of a short track that was heard whole
    apart: int = 1  # hops between two query steps that confirm it, at least,
    certain: float = 1.0  # or their mean score

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
        return float(np.mean([hit.score for hit in self.hits]))

    def speed(self, hop_s: float) -> float:
        """Places per segment; 1 while the play is too short to tell."""
        first, last = self.hits[0], self.hits[-1]
        if (last.index - first.index) * hop_s < _SPEED_NEEDS_S:
            return 1.0
        indices, places = np.array([(hit.index, hit.place) for hit in self.hits]).T
        return slope(indices, places)

    def places(self, indices: np.ndarray, hop_s: float, near: _Hit | None = None) -> np.ndarray:
        """The expected places of segments in the track, from the hit ``near`` (None: the last)."""
        near = near or self.hits[-1]
        return near.place + self.speed(hop_s) * (indices - near.index)

    def place(self, index: int, hop_s: float, near: _Hit | None = None) -> float:
        """:meth:`places` of one segment."""
        return float(self.places(np.array(index), hop_s, near))


class Timeline:
    """Follows a recording as its fingerprints arrive, all of them in order."""

    def __init__(self, library: Collection, config: TimelineConfig | None = None) -> None:
        """Start at second 0. Raises MatchError if the library is empty."""
        if not len(library):
            raise matching.MatchError(f"the library {library.location} is empty: index some music")
        self.config = config or TimelineConfig()
        self._library = library
        c, hop_s = self.config, library.hop_s
        self._query = max(1, round((c.look_s - library.window_s) / hop_s) + 1)
        self._every = max(1, round(c.every_s / hop_s))
        self._apart = max(1, round(c.apart_s / hop_s))
        self._patience = round(c.patience_s / hop_s)
        self._short = self._query + self._every  # segments of a track that two steps may miss
        self._kept = 3 * self._query + self._patience + 2 * self._every
        self._recent = np.empty((0, library.dim), np.float32)  # the last fingerprints
        self._end = 0  # index of the next one
        self._queried = 0  # end of the last query step
        self._open: list[_Line] = []
        self._finished: list[Play] = []

    @property
    def heard_s(self) -> float:
        """Seconds of the recording so far."""
        return self._end * self._library.hop_s + self._library.window_s if self._end else 0.0

    @property
    def segments(self) -> int:
        """Number of fingerprints so far."""
        return self._end

    @property
    def playing(self) -> list[Play]:
        """The plays that are open now, as known so far, best first."""
        plays = [self._play(line, self._end - 1) for line in self._open if line.established]
        return sorted(plays, key=lambda play: -play.score)

    def push(self, fingerprints: np.ndarray) -> list[Play]:
        """Take the next fingerprints ``[m, dim]``; returns the plays that have now ended."""
        begin = 0
        while begin < len(fingerprints):  # from query step to query step
            due = max(self._queried + self._every, self._query)
            part = fingerprints[begin : begin + due - self._end]
            begin += len(part)
            self._recent = np.concatenate([self._recent, part])[-self._kept :]
            self._end += len(part)
            if self._end == due:
                self._queried = due
                self._query_step()
        return self._settled()

    def finish(self) -> list[Play]:
        """End the recording; returns the remaining plays."""
        if self._queried < self._end and len(self._recent) >= self._query:
            self._query_step()
        for line in self._open:
            self._close(line)
        self._open = []
        return self._settled()

    # Interrupting -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`resumed` needs, as plain values."""
        recent = self._recent.astype("<f4").tobytes()
        return {
            "subject": self._subject(),
            "end": self._end,
            "looked": self._queried,
            "recent": base64.b64encode(recent).decode("ascii"),
            "open": [
                [line.track.id, [astuple(hit) for hit in line.hits], line.start, line.end]
                for line in self._open
            ],
            "finished": [play.numbers() for play in self._finished],
        }

    @classmethod
    def resumed(
        cls, library: Collection, state: dict[str, Any], config: TimelineConfig | None = None
    ) -> Timeline:
        """Resume from a :meth:`state`. ValueError if it is of another library or configuration."""
        timeline = cls(library, config)
        if state["subject"] != timeline._subject():
            raise ValueError("it was started with another library, or other settings")
        recent = np.frombuffer(base64.b64decode(state["recent"]), "<f4")
        timeline._recent = recent.reshape(-1, library.dim).astype(np.float32)
        timeline._end, timeline._queried = state["end"], state["looked"]
        for track, hits, *edges in state["open"]:
            found = [_Hit(*hit) for hit in hits]
            line = timeline._line(library.track(track), found)
            line.start, line.end = ((edge[0], edge[1]) if edge else None for edge in edges)
            timeline._open.append(line)
        timeline._finished = [Play.of_numbers(library, numbers) for numbers in state["finished"]]
        return timeline

    def _subject(self) -> list[Any]:
        library = self._library
        return [library.library_id, library.rows, asdict(self.config)]

    # Query steps --------------------------------------------------------------------------------

    def _query_step(self) -> None:
        index = self._end - self._query
        queries = self._recent[-self._query :]
        positions = np.flatnonzero(queries.any(axis=1))
        if len(positions) > self._query // 2:
            with self._library.locked():
                self._follow(index, queries, positions)
        for line in self._open:
            if line.track.count <= self._short and line.end is None:
                self._hear_whole(line)
        for line in [line for line in self._open if self._over(line, index)]:
            self._open.remove(line)
            self._close(line)

    def _follow(self, index: int, queries: np.ndarray, positions: np.ndarray) -> None:
        answer = matching.identify(self._library, queries, top_k=5)
        threshold = FINGERPRINTS.score_needed(self.config.look_s, len(self._library))
        now: dict[int, float] = {}
        for line in self._open:
            hit = self._continue(line, index, queries[positions], positions, threshold)
            if hit and hit.score >= self.config.continues_at * threshold:
                line.hits.append(hit)
                now[line.track.id] = max(hit.score, now.get(line.track.id, 0.0))
                if line.established and line.start is None:
                    line.start = self._edge(line, -1)
        for match in answer.matches:
            if match.score < (answer.threshold if match is answer.best else threshold):
                continue
            # A track that repeats itself matches in several places; its open play is kept.
            if match.score < now.get(match.track.id, 0.0) + 0.1:
                continue
            place = match.start_s / self._library.hop_s
            if any(self._is_short_play(line, match.track, index, place) for line in self._open):
                continue
            hit = _Hit(index, place, match.score, True)
            self._open.append(self._line(match.track, [hit]))

    def _line(self, track: Track, hits: list[_Hit]) -> _Line:
        c = self.config
        certain = FINGERPRINTS.score_needed(c.look_s, len(self._library), c.certain)
        if track.count <= self._short:  # half of it is in both steps: it must be heard whole
            certain = math.inf
        return _Line(track, hits, apart=self._apart, certain=certain)

    def _continue(
        self,
        line: _Line,
        index: int,
        queries: np.ndarray,
        positions: np.ndarray,
        threshold: float,
    ) -> _Hit | None:
        """The best match of an open play near its expected place; None if its track is over."""
        expected = line.place(index, self._library.hop_s)
        row = line.track.first + round(expected)
        first, count = np.full(len(_NEAR), line.track.first), np.full(len(_NEAR), line.track.count)
        candidates = Candidates(row + _NEAR, first, count)
        terms = alignment.similarities(self._library, queries, positions, candidates)
        inside = (~np.isnan(terms)).sum(axis=1)
        if inside.min() < alignment.MIN_OVERLAP * len(positions):
            return None
        means = np.nanmean(terms, axis=1)
        best = int(means.argmax())
        candidate = candidates.take(np.array([best]))
        fraction = alignment.refine(self._library, queries, positions, candidate)
        place = float(candidate.starts[0] - line.track.first) + fraction
        score = float(means[best])
        return _Hit(index, place, score, score >= threshold)

    def _is_short_play(self, line: _Line, track: Track, index: int, place: float) -> bool:
        """Whether a line is of this short track, at this place. It may be too short to continue."""
        if track.count > self._short or line.track.id != track.id:
            return False
        return abs(line.place(index, self._library.hop_s) - place) < len(_NEAR)

    def _hear_whole(self, line: _Line) -> None:
        """Establish a short track if it was heard from its beginning to its end.

        It may be shorter than two query steps need; the score of all of it decides.
        """
        library, count = self._library, line.track.count
        begin = line.hits[0].index - round(line.hits[0].place)
        oldest = self._end - len(self._recent)
        first, stop = max(begin, oldest), min(begin + count, self._end)
        if stop - first < _WHOLE_SHARE * count or stop < begin + count - 2:  # 2: rounding
            return
        heard = self._recent[first - oldest : stop - oldest]
        rows = line.track.first + np.arange(first - begin, stop - begin)
        terms = (heard * library.vectors(rows)).sum(axis=1)[heard.any(axis=1)]
        if len(terms) < _WHOLE_SHARE * count:
            return
        length_s = (len(terms) - 1) * library.hop_s + library.window_s
        needed = FINGERPRINTS.score_needed(length_s, len(library), _WHOLE_CONFIDENCE)
        # A part of it, before other music, is not all of it: its thirds must be about as similar.
        thirds = [part.mean() for part in np.array_split(terms, 3)]
        if terms.mean() >= needed and min(thirds) >= 0.6 * max(thirds):
            line.start, line.end = (first, first - begin), (stop - 1, stop - 1 - begin)

    def _over(self, line: _Line, index: int) -> bool:
        inaudible = index - line.hits[-1].index
        return inaudible > (self._patience if line.established else 2 * self._every)

    # Beginnings and ends ------------------------------------------------------------------------

    def _close(self, line: _Line) -> None:
        if not line.established:
            return
        if line.start is None:
            line.start = self._edge(line, -1)
        play = self._play(line, None)
        if play.end_s - play.start_s >= self.config.least_s - 0.5 * self._library.hop_s:
            self._finished.append(play)

    def _play(self, line: _Line, end: int | None) -> Play:
        """The play of a line up to segment ``end`` (None: to where it ends)."""
        hop_s, window_s = self._library.hop_s, self._library.window_s
        speed = line.speed(hop_s)
        first = line.start or self._edge(line, -1)
        if line.end:
            last = line.end
        elif end is None:
            last = self._edge(line, 1)
        else:
            last = end, line.place(end, hop_s)
        # A segment is similar to a track as soon as half of it is from that track.
        half_s = 0.5 * window_s
        start_s, end_s = (index * hop_s + half_s for index, _ in (first, last))
        from_s, to_s = (place * hop_s + half_s * speed for _, place in (first, last))
        if first[0] == 0:  # it plays from the beginning of the recording
            start_s, from_s = start_s - half_s, from_s - half_s * speed
        if last[0] == self._end - 1:  # it plays to the end of the recording
            end_s, to_s = end_s + half_s, to_s + half_s * speed
        if from_s < half_s * speed + _SNAP_S:  # it starts with the beginning of the track
            begins_s = max(0.0, start_s - from_s / speed)
            start_s, from_s = begins_s, from_s - (start_s - begins_s) * speed
        left_s = line.track.duration_s - to_s
        if left_s < half_s * speed + _SNAP_S:
            ends_s = min(self.heard_s, end_s + left_s / speed)
            end_s, to_s = ends_s, to_s + (ends_s - end_s) * speed
        end_s, from_s = max(start_s, end_s), max(0.0, from_s)
        to_s = min(line.track.duration_s, to_s)
        return Play(line.track, start_s, end_s, from_s, to_s, speed, line.score)

    def _edge(self, line: _Line, direction: int) -> tuple[int, float]:
        """The first (-1) or last (1) segment of a line, and its place.

        It is where the cumulative similarity is largest, after subtracting the middle between the
        play's own similarity and that of unrelated fingerprints.
        """
        hop_s = self._library.hop_s
        near = line.hits[0 if direction < 0 else -1]
        middle = near.index + self._query // 2
        oldest = self._end - len(self._recent)
        reach = range(middle, oldest - 1 if direction < 0 else self._end, direction)
        indices = np.array(reach, np.int64)
        places = np.round(line.places(indices, hop_s, near)).astype(np.int64)
        inside = (places >= 0) & (places < line.track.count)
        stop = len(inside) if inside.all() else int(np.argmin(inside))
        indices, places = indices[:stop], places[:stop]
        if not stop:
            return middle, line.place(middle, hop_s, near)
        recent = self._recent[indices - oldest]
        terms = (recent * self._library.vectors(line.track.first + places)).sum(axis=1)
        terms -= (line.score + _UNRELATED) / 2
        terms[~recent.any(axis=1)] = 0.0  # silence is no evidence
        edge = int(indices[int(np.cumsum(terms).argmax())])
        return edge, line.place(edge, hop_s, near)

    # Reporting ----------------------------------------------------------------------------------

    def _settled(self) -> list[Play]:
        """Take the finished plays without a rival that is still open, rivals merged."""
        playing = self.playing
        waiting = [p for p in self._finished if any(rivals(p, other) for other in playing)]
        settled = [p for p in self._finished if not any(rivals(p, q) for q in [*playing, *waiting])]
        self._finished = [p for p in self._finished if p not in settled]
        return merge_rivals(settled)
