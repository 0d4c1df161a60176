"""What plays when in hours of audio: fingerprints in, plays out, in bounded memory.

Every few seconds the latest audio is identified (grafprint/matching): a query step. Steps that
agree - on one track, and on one line through the times of recording and track - make a play. Its
start and end are then found by the similarity along that line, fingerprint by fingerprint.
"""

from __future__ import annotations

import base64
import math
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from grafprint import matching
from grafprint.library.records import Track
from grafprint.matching import alignment
from grafprint.matching.alignment import Candidates
from grafprint.matching.collection import Collection
from grafprint.matching.confidence import FINGERPRINTS
from grafprint.scan.config import TimelineConfig
from grafprint.scan.edges import Recent
from grafprint.scan.lines import Hit, Line
from grafprint.scan.plays import Play, merge_rivals, rivals

_NEAR = np.arange(-2, 3)  # hops around the expected place of a play that are compared


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
        kept = 3 * self._query + self._patience + 2 * self._every
        self._recent = Recent(library, kept)
        self._queried = 0  # end of the last query step
        self._open: list[Line] = []
        self._finished: list[Play] = []

    @property
    def heard_s(self) -> float:
        """Seconds of the recording so far."""
        return self._recent.heard_s

    @property
    def segments(self) -> int:
        """Number of fingerprints so far."""
        return self._recent.end

    @property
    def playing(self) -> list[Play]:
        """The plays that are open now, as known so far, best first."""
        plays = [self._play(line, self._recent.end - 1) for line in self._open if line.established]
        return sorted(plays, key=lambda play: -play.score)

    def push(self, fingerprints: np.ndarray) -> list[Play]:
        """Take the next fingerprints ``[m, dim]``; returns the plays that have now ended."""
        begin = 0
        while begin < len(fingerprints):  # from query step to query step
            due = max(self._queried + self._every, self._query)
            part = fingerprints[begin : begin + due - self._recent.end]
            begin += len(part)
            self._recent.push(part)
            if self._recent.end == due:
                self._queried = due
                self._query_step()
        return self._settled()

    def finish(self) -> list[Play]:
        """End the recording; returns the remaining plays."""
        if self._queried < self._recent.end and len(self._recent.vectors) >= self._query:
            self._query_step()
        for line in self._open:
            self._close(line)
        self._open = []
        return self._settled()

    # Interrupting -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`resumed` needs, as plain values."""
        recent = self._recent.vectors.astype("<f4").tobytes()
        return {
            "subject": self._subject(),
            "end": self._recent.end,
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
        timeline._recent.vectors = recent.reshape(-1, library.dim).astype(np.float32)
        timeline._recent.end, timeline._queried = state["end"], state["looked"]
        for track, hits, *edges in state["open"]:
            found = [Hit(*hit) for hit in hits]
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
        index = self._recent.end - self._query
        queries = self._recent.vectors[-self._query :]
        positions = np.flatnonzero(queries.any(axis=1))
        if len(positions) > self._query // 2:
            with self._library.locked():
                self._follow(index, queries, positions)
        for line in self._open:
            if line.track.count <= self._short and line.end is None:
                self._recent.hear_whole(line, self.config.whole)
        for line in [line for line in self._open if self._over(line, index)]:
            self._open.remove(line)
            self._close(line)

    def _follow(self, index: int, queries: np.ndarray, positions: np.ndarray) -> None:
        c = self.config
        answer = matching.identify(self._library, queries, top_k=5, confidence=c.confidence)
        threshold = FINGERPRINTS.score_needed(c.look_s, len(self._library), c.confidence)
        now: dict[int, float] = {}
        for line in self._open:
            hit = self._continue(line, index, queries[positions], positions, threshold)
            if hit and hit.score >= c.continues_at * threshold:
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
            hit = Hit(index, place, match.score, True)
            self._open.append(self._line(match.track, [hit]))

    def _line(self, track: Track, hits: list[Hit]) -> Line:
        c = self.config
        certain = FINGERPRINTS.score_needed(c.look_s, len(self._library), c.certain)
        if track.count <= self._short:  # half of it is in both steps: it must be heard whole
            certain = math.inf
        return Line(track, hits, None, None, self._apart, certain, c.speed_needs_s)

    def _continue(
        self,
        line: Line,
        index: int,
        queries: np.ndarray,
        positions: np.ndarray,
        threshold: float,
    ) -> Hit | None:
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
        return Hit(index, place, score, score >= threshold)

    def _is_short_play(self, line: Line, track: Track, index: int, place: float) -> bool:
        """Whether a line is of this short track, at this place. It may be too short to continue."""
        if track.count > self._short or line.track.id != track.id:
            return False
        return abs(line.place(index, self._library.hop_s) - place) < len(_NEAR)

    def _over(self, line: Line, index: int) -> bool:
        inaudible = index - line.hits[-1].index
        return inaudible > (self._patience if line.established else 2 * self._every)

    # Beginnings and ends ------------------------------------------------------------------------

    def _close(self, line: Line) -> None:
        if not line.established:
            return
        if line.start is None:
            line.start = self._edge(line, -1)
        play = self._play(line, None)
        if play.end_s - play.start_s >= self.config.least_s - 0.5 * self._library.hop_s:
            self._finished.append(play)

    def _play(self, line: Line, end: int | None) -> Play:
        """The play of a line up to segment ``end`` (None: to where it ends)."""
        first = line.start or self._edge(line, -1)
        if line.end:
            last = line.end
        elif end is None:
            last = self._edge(line, 1)
        else:
            last = end, line.place(end, self._library.hop_s)
        return self._recent.make_play(line, first, last)

    def _edge(self, line: Line, direction: int) -> tuple[int, float]:
        """The first (-1) or last (1) segment of a line, and its place."""
        near = line.hits[0 if direction < 0 else -1]
        return self._recent.find_edge(line, near, near.index + self._query // 2, direction)

    # Reporting ----------------------------------------------------------------------------------

    def _settled(self) -> list[Play]:
        """Take the finished plays without a rival that is still open, rivals merged."""
        playing = self.playing
        waiting = [p for p in self._finished if any(rivals(p, other) for other in playing)]
        settled = [p for p in self._finished if not any(rivals(p, q) for q in [*playing, *waiting])]
        self._finished = [p for p in self._finished if p not in settled]
        return merge_rivals(settled)
