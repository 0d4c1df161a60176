"""Where a play begins and ends: the similarity along its line, fingerprint by fingerprint."""

from __future__ import annotations

import numpy as np

from grafprint.matching.collection import Collection
from grafprint.matching.confidence import FINGERPRINTS
from grafprint.scan.lines import Hit, Line
from grafprint.scan.plays import Play

_UNRELATED = 0.15  # cosine similarity of unrelated fingerprints
_WHOLE_SHARE = 0.9  # of a short track's segments must have been heard
_SNAP_S = 0.5  # a play this close to the beginning or end of its track is extended to it


class Recent:
    """The last ``kept`` fingerprints of a recording."""

    def __init__(self, library: Collection, kept: int) -> None:
        self._library = library
        self._kept = kept
        self.vectors = np.empty((0, library.dim), np.float32)
        self.end = 0  # index of the next one

    @property
    def oldest(self) -> int:
        """Index of the first one that is kept."""
        return self.end - len(self.vectors)

    @property
    def heard_s(self) -> float:
        """Seconds of the recording so far."""
        return self.end * self._library.hop_s + self._library.window_s if self.end else 0.0

    def push(self, vectors: np.ndarray) -> None:
        """Take the next fingerprints ``[m, dim]``."""
        self.vectors = np.concatenate([self.vectors, vectors])[-self._kept :]
        self.end += len(vectors)

    def find_edge(self, line: Line, near: Hit, middle: int, direction: int) -> tuple[int, float]:
        """The first (-1) or last (1) segment of a line, and its place.

        It is looked for from segment ``middle`` on, with the slope of the line through ``near``. It
        is where the cumulative similarity is largest, after subtracting the middle between the
        play's own similarity and that of unrelated fingerprints.
        """
        hop_s = self._library.hop_s
        reach = range(middle, self.oldest - 1 if direction < 0 else self.end, direction)
        indices = np.array(reach, np.int64)
        places = np.round(line.places(indices, hop_s, near)).astype(np.int64)
        inside = (places >= 0) & (places < line.track.count)
        stop = len(inside) if inside.all() else int(np.argmin(inside))
        indices, places = indices[:stop], places[:stop]
        if not stop:
            return middle, line.place(middle, hop_s, near)
        recent = self.vectors[indices - self.oldest]
        terms = (recent * self._library.vectors(line.track.first + places)).sum(axis=1)
        terms -= (line.score + _UNRELATED) / 2
        terms[~recent.any(axis=1)] = 0.0  # silence is no evidence
        edge = int(indices[int(np.cumsum(terms).argmax())])
        return edge, line.place(edge, hop_s, near)

    def hear_whole(self, line: Line, confidence: float) -> None:
        """Establish a short track if it was heard from its beginning to its end.

        It may be shorter than two query steps need; the score of all of it decides, which must
        reach this ``confidence``.
        """
        library, count = self._library, line.track.count
        begin = line.hits[0].index - round(line.hits[0].place)
        first, stop = max(begin, self.oldest), min(begin + count, self.end)
        if stop - first < _WHOLE_SHARE * count or stop < begin + count - 2:  # 2: rounding
            return
        heard = self.vectors[first - self.oldest : stop - self.oldest]
        rows = line.track.first + np.arange(first - begin, stop - begin)
        terms = (heard * library.vectors(rows)).sum(axis=1)[heard.any(axis=1)]
        if len(terms) < _WHOLE_SHARE * count:
            return
        length_s = (len(terms) - 1) * library.hop_s + library.window_s
        needed = FINGERPRINTS.score_needed(length_s, len(library), confidence)
        # A part of it, before other music, is not all of it: its thirds must be about as similar.
        thirds = [part.mean() for part in np.array_split(terms, 3)]
        if terms.mean() >= needed and min(thirds) >= 0.6 * max(thirds):
            line.start, line.end = (first, first - begin), (stop - 1, stop - 1 - begin)

    def make_play(self, line: Line, first: tuple[int, float], last: tuple[int, float]) -> Play:
        """The play of a line between two segments and their places."""
        hop_s, window_s = self._library.hop_s, self._library.window_s
        speed = line.speed(hop_s)
        # A segment is similar to a track as soon as half of it is from that track.
        half_s = 0.5 * window_s
        start_s, end_s = (index * hop_s + half_s for index, _ in (first, last))
        from_s, to_s = (place * hop_s + half_s * speed for _, place in (first, last))
        if first[0] == 0:  # it plays from the beginning of the recording
            start_s, from_s = start_s - half_s, from_s - half_s * speed
        if last[0] == self.end - 1:  # it plays to the end of the recording
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
