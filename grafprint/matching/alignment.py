"""Sequence search (paper, section II-D): candidate starts (Eq. 7) and their scores (Eq. 8)."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

import numpy as np

from grafprint.matching.collection import Collection

# A candidate must cover this share of the query, or its whole track.
MIN_OVERLAP = 0.5
# For pre-ranking (see score_candidates): how many candidates are kept, and which segments are used:
# from 32 segments on every 8th, from 16 on every 4th.
SHORT = 128
_COARSE = ((32, 8), (16, 4))


@dataclass(frozen=True)
class Candidates:
    """Places the query may come from: row numbers and counts, int64 [c], in order of rows.

    Query segment ``i`` is compared with row ``starts + i`` if that is one of the track's rows
    ``firsts .. firsts + counts - 1``; a start may lie before the track.
    """

    starts: np.ndarray
    firsts: np.ndarray
    counts: np.ndarray

    def take(self, which: np.ndarray | slice) -> Candidates:
        """The candidates selected by numbers, a slice or a bool array [c]."""
        return Candidates(self.starts[which], self.firsts[which], self.counts[which])


def propose(collection: Collection, rows: np.ndarray, positions: np.ndarray) -> Candidates:
    """Offset compensation (Eq. 7): the distinct starts at which a neighbour meets its segment.

    ``rows [n, k]`` are the neighbours of the non-silent segments, which are at ``positions [n]`` of
    the query; -1 where there are none.
    """
    _, firsts, counts = collection.spans(rows)
    starts = rows - positions[:, None]
    in_track = firsts >= 0
    firsts, starts, counts = firsts[in_track], starts[in_track], counts[in_track]
    # Candidates of two tracks may have the same start, inside one track and before the other, so
    # candidates are distinct by first row and start. A start is less than the query's length before
    # the first row, which allows one number for both.
    before = int(positions.max(initial=0))
    width = int(counts.max(initial=0)) + before + 1
    groups = firsts
    if int(firsts.max(initial=0)) * width > np.iinfo(np.int64).max // 2:  # rows may be sparse
        groups = np.unique(firsts, return_inverse=True)[1]
    _, which = np.unique(groups * width + (starts - firsts + before), return_index=True)
    return covering(positions, Candidates(starts[which], firsts[which], counts[which]))


def covering(positions: np.ndarray, candidates: Candidates) -> Candidates:
    """The candidates that cover enough of the query; see MIN_OVERLAP."""
    enough = np.minimum(math.ceil(MIN_OVERLAP * len(positions)), candidates.counts)
    return candidates.take(_overlap(positions, candidates) >= enough)


def joined(one: Candidates, other: Candidates) -> Candidates:
    """All candidates of both."""
    parts = zip(astuple(one), astuple(other), strict=True)
    return Candidates(*(np.concatenate(pair) for pair in parts))


def without(candidates: Candidates, others: Candidates) -> Candidates:
    """The candidates that are not among ``others``."""
    known = set(zip(others.starts.tolist(), others.firsts.tolist(), strict=True))
    places = zip(candidates.starts.tolist(), candidates.firsts.tolist(), strict=True)
    return candidates.take(np.array([place not in known for place in places], bool))


def score_all(
    collection: Collection, queries: np.ndarray, positions: np.ndarray, candidates: Candidates
) -> np.ndarray:
    """The scores [c] of all candidates; see :func:`score_candidates`."""
    _prefetch(collection, positions, candidates)
    sums, counts = _score_sums(collection, queries, positions, candidates)
    return _scores(sums, counts, len(positions))


def score_candidates(
    collection: Collection,
    queries: np.ndarray,
    positions: np.ndarray,
    candidates: Candidates,
    short: int | None = None,
) -> tuple[Candidates, np.ndarray]:
    """The candidates that may be among the best, and their scores [c].

    A score is the sum of the inner products over the segments inside the track, divided by the
    square root of their number times that of all the query's segments: Eq. 8, the mean, if all are
    inside. The mean of few segments is high by chance more often than that of many, in proportion
    to the square root of their number; so weighted, a place that hangs over a track's end competes
    with the others on equal terms.

    If there are many candidates, pre-rank them on every 4th query segment (every 8th from 3 s on)
    and score the ``short`` best (None: SHORT) in full. Consecutive segments share most of their
    second of audio, so a subset gives nearly the same ranking. There is no guarantee;
    benchmarks/scale.py counts how often it made a difference. Candidates that meet none of these
    segments are kept, and so are all candidates of a query of few segments.
    """
    short = short or SHORT
    every = next((every for least, every in _COARSE if len(positions) >= least), None)
    if every is None or len(candidates.starts) <= short:
        return candidates, score_all(collection, queries, positions, candidates)
    _prefetch(collection, positions, candidates)
    some = np.zeros(len(positions), bool)
    some[every // 2 :: every] = True
    sums, counts = _score_sums(collection, queries[some], positions[some], candidates)
    coarse = _scores(sums, counts, int(some.sum()))
    kept = ~(coarse < np.partition(coarse, -short)[-short])
    candidates = candidates.take(kept)
    other_sums, other_counts = _score_sums(collection, queries[~some], positions[~some], candidates)
    return candidates, _scores(sums[kept] + other_sums, counts[kept] + other_counts, len(positions))


def _prefetch(collection: Collection, positions: np.ndarray, candidates: Candidates) -> None:
    """Start reading the rows that the candidates will be compared with."""
    ends = candidates.firsts + candidates.counts
    firsts = np.maximum(candidates.starts + positions[0], candidates.firsts)
    stops = np.minimum(candidates.starts + positions[-1] + 1, ends)
    collection.prefetch(np.minimum(firsts, ends), stops)


def _score_sums(
    collection: Collection, queries: np.ndarray, positions: np.ndarray, candidates: Candidates
) -> tuple[np.ndarray, np.ndarray]:
    places = np.stack([candidates.starts, candidates.firsts, candidates.counts])
    return collection.score_sums(places, positions, queries)


def _scores(sums: np.ndarray, counts: np.ndarray, segments: int) -> np.ndarray:
    """Scores of a query of ``segments``; infinite where no segment was compared."""
    return np.where(counts, sums, np.inf) / np.sqrt(np.maximum(counts, 1) * segments)


def _overlap(positions: np.ndarray, candidates: Candidates) -> np.ndarray:
    """The number of the query's segments that lie inside the track: int64 [c]."""
    before = candidates.firsts - candidates.starts
    inside = np.searchsorted(positions, [before, before + candidates.counts])
    return np.asarray(inside[1] - inside[0])


def similarities(
    collection: Collection, queries: np.ndarray, positions: np.ndarray, candidates: Candidates
) -> np.ndarray:
    """Inner products of segments with the rows they meet: [c, n], NaN outside the track."""
    rows, inside = _rows(positions, candidates)
    terms = collection.products(rows, queries)
    terms[~inside] = np.nan
    return terms


def agreement(
    collection: Collection, positions: np.ndarray, place: Candidates, others: Candidates
) -> np.ndarray:
    """Mean inner product of a place's stored fingerprints with those at each other place: [c].

    Over the segments that are inside both tracks; 0 if these are less than half.
    """
    own, own_inside = _rows(positions, place)
    rows, inside = _rows(positions, others)
    shared = own_inside & inside
    terms = collection.products(rows, collection.vectors(own[0]))
    counts = shared.sum(axis=1)
    means = np.where(shared, terms, 0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts >= MIN_OVERLAP * len(positions), means, 0.0)


def _rows(positions: np.ndarray, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """The row that each segment meets, clipped to the track, and whether it was inside: [c, n]."""
    last = candidates.firsts + candidates.counts - 1
    rows = candidates.starts[:, None] + positions
    clipped = np.clip(rows, candidates.firsts[:, None], last[:, None])
    return clipped, rows == clipped


def best_of_tracks(candidates: Candidates, scores: np.ndarray) -> np.ndarray:
    """The number of each track's best candidate, best track first; ties go to earlier rows."""
    order = np.lexsort((-scores, candidates.firsts))
    _, first_of_track = np.unique(candidates.firsts[order], return_index=True)
    best = order[first_of_track]
    return best[np.argsort(-scores[best], kind="stable")]


def refine(
    collection: Collection, queries: np.ndarray, positions: np.ndarray, place: Candidates
) -> float:
    """The peak of the scores, -0.5 to 0.5 hops from a candidate; see :func:`peaks`."""
    return float(peaks(around(collection, queries, positions, place))[0])


def around(
    collection: Collection, queries: np.ndarray, positions: np.ndarray, places: Candidates
) -> np.ndarray:
    """:func:`similarities` one hop before each candidate, at it, and one hop after: [c, 3, n]."""
    starts = places.starts[:, None] + np.array([-1, 0, 1])
    near = Candidates(starts.reshape(-1), places.firsts.repeat(3), places.counts.repeat(3))
    return similarities(collection, queries, positions, near).reshape(*starts.shape, len(positions))


def peaks(terms: np.ndarray) -> np.ndarray:
    """The peaks of ``terms [c, 3, n]`` by a parabola, -0.5 to 0.5 hops from the middle: [c].

    The query's segments are off the track's grid by a fraction of a hop, which follows from their
    similarity to the fingerprints before and after.
    """
    common = ~np.isnan(terms).any(axis=1, keepdims=True)
    sums = np.where(common, terms, 0).sum(axis=2, dtype=np.float64)
    before, here, after = (sums / np.maximum(common.sum(axis=2), 1)).T
    curvature = before - 2 * here + after
    peaked = curvature < 0
    offsets = (before - after) / np.where(peaked, 2 * curvature, 1)
    return np.where(peaked, np.clip(offsets, -0.5, 0.5), 0.0)
