"""The coarse search: every segment of a song in the index, and the tracks that may be sampled."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from grafprint import audio
from grafprint.errors import MatchError
from grafprint.library.records import Track
from grafprint.matching.collection import Collection
from grafprint.matching.samples.regions import Line, Pairs, find_lines
from grafprint.matching.samples.sources import Song

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

# Neighbours of a segment: a tenth of the library, between these. What is similar to everything says
# nothing: a match counts by how much more similar it is than the last of them. In units of the
# segment's mean, to this power: one that stands out says more than many that are a little better.
_LEAST, _MOST = 16, 400
_POWER = 3
_NO_MEAN = 1e-6  # all are alike
_OF_TRACK = 6  # matches of a segment that are kept of one track
_TOGETHER = 256  # segments searched at once
_LOOKED_AT = 4  # times as many tracks as are wanted are looked at for lines
_LINES = 12  # of a track
# Mean similarity from which a song is the track itself, over half of the song, and over enough
# segments: a few seconds of a loud sample are as similar as the recording itself.
_SAME_RECORDING = 0.85
_SAME_SHARE, _SAME_LEAST = 0.5, 8


@dataclass(frozen=True, eq=False)
class Candidate:
    """A track, its matches with a song, and the lines among them, the heaviest first.

    ``similarity [n]`` of each of the ``pairs``; ``evidence`` is how much all lines say.
    """

    track: Track
    pairs: Pairs
    similarity: np.ndarray
    lines: list[Line]
    evidence: float
    same_recording: bool = False


def listen(
    fingerprinter: Fingerprinter, song: Song, progress: Callable[[str, float], None] | None
) -> np.ndarray:
    """The fingerprints ``[n, dim]`` of a song.

    Raises AudioError if it is shorter than a segment, MatchError if it is silent throughout.
    """
    parts = []
    for part in fingerprinter.stream(song.first()):
        parts.append(part)
        if progress:
            progress("listen", song.samples / audio.SAMPLE_RATE)
    fingerprints = np.concatenate(parts)
    if not fingerprints.any():
        raise MatchError("the song is silent throughout: choose one with sound")
    return fingerprints


def find_candidates(library: Collection, fingerprints: np.ndarray, count: int) -> list[Candidate]:
    """The ``count`` tracks with the most evidence, best first; the song itself is not counted.

    Raises MatchError if the library is empty.
    """
    with library.locked():
        if not len(library):
            raise MatchError(f"the library {library.location} is empty: index some music first")
        ids, pairs, similarity = _matches(library, fingerprints)
        found = []
        for track_id in _likely(ids, pairs, count * _LOOKED_AT):
            which = np.flatnonzero(ids == track_id)
            track, own = library.track(int(track_id)), pairs.take(which)
            own = replace(own, track=own.track - track.first)
            lines = find_lines(own, library.hop_s, library.window_s, _LINES)
            if not lines:
                continue
            # One long line says more than as many matches here and there.
            evidence = math.hypot(*(line.weight for line in lines)) ** (1 / _POWER)
            found.append(Candidate(track, own, similarity[which], lines, evidence))
        found.sort(key=lambda candidate: -candidate.evidence)
        chosen: list[Candidate] = []
        others = 0
        for candidate in found:
            if others == count:
                break
            same = _is_same(library, fingerprints, candidate)
            chosen.append(replace(candidate, same_recording=same))
            others += not same
        return chosen


def _matches(library: Collection, fingerprints: np.ndarray) -> tuple[np.ndarray, Pairs, np.ndarray]:
    """Track ids, pairs (with the library's rows) and similarities of all matches of a song."""
    heard = np.flatnonzero(fingerprints.any(axis=1))
    k = int(np.clip(len(library) // 10, _LEAST, _MOST))
    found: list[tuple[np.ndarray, ...]] = []
    for some in np.split(heard, range(_TOGETHER, len(heard), _TOGETHER)):
        queries = fingerprints[some]
        products, rows = library.search(queries, k)
        there = rows >= 0
        if not library.exact:  # the index's products are of compressed fingerprints
            products = library.products(np.maximum(rows, 0).T, queries).T
        products = np.where(there, products, -np.inf)
        above = products - np.where(there, products, np.inf).min(axis=1, keepdims=True)
        ids = library.spans(rows)[0]
        kept = there & (above > 0) & (_rank_in_track(ids, products) < _OF_TRACK)
        means = np.where(kept, above, 0).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
        weights = (above / np.maximum(means, _NO_MEAN)[:, None]) ** _POWER
        songs = np.broadcast_to(some[:, None], rows.shape)
        found.append(tuple(part[kept] for part in (ids, songs, rows, weights, products)))
    ids, songs, rows, weights, products = map(np.concatenate, zip(*found, strict=True))
    return ids, Pairs(songs, rows, weights), products


def _rank_in_track(ids: np.ndarray, products: np.ndarray) -> np.ndarray:
    """How many of a segment's matches ``[m, k]`` with the same track are better: ``[m, k]``."""
    rank = np.empty(ids.shape, np.int64)
    for row, (of_track, scores) in enumerate(zip(ids, products, strict=True)):
        order = np.lexsort((-scores, of_track))
        begins = np.flatnonzero(np.diff(of_track[order], prepend=-2) != 0)
        counts = np.diff(np.append(begins, len(order)))
        rank[row, order] = np.arange(len(order)) - np.repeat(begins, counts)
    return rank


def _likely(ids: np.ndarray, pairs: Pairs, count: int) -> np.ndarray:
    """Ids of the tracks whose best matches of each segment say most, squared and summed."""
    order = np.lexsort((-pairs.weight, pairs.song, ids))
    sorted_ids, songs = ids[order], pairs.song[order]
    if not len(order):
        return order
    best = np.append(True, (np.diff(sorted_ids) != 0) | (np.diff(songs) != 0))
    tracks, which = np.unique(sorted_ids[best], return_inverse=True)
    votes = np.bincount(which, np.square(pairs.weight[order][best]))
    return np.asarray(tracks[np.argsort(-votes, kind="stable")[:count]])


def _is_same(library: Collection, fingerprints: np.ndarray, candidate: Candidate) -> bool:
    """Whether song and track are alike, segment by segment, over half of the song."""
    heard = np.flatnonzero(fingerprints.any(axis=1))
    track, line = candidate.track, candidate.lines[0]
    shift = candidate.pairs.track[line.members] - candidate.pairs.song[line.members]
    start = track.first + round(float(np.median(shift)))
    places = np.array([[start + off for off in (-1, 0, 1)], [track.first] * 3, [track.count] * 3])
    sums, counts = library.score_sums(places, heard, fingerprints[heard])
    enough = counts >= max(_SAME_LEAST, _SAME_SHARE * len(heard))
    return bool((enough & (sums >= _SAME_RECORDING * counts)).any())
