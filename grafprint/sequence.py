"""Sequence search (paper, section II-D): candidate starts (Eq. 7) and their scores (Eq. 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from grafprint.library import Library

# A candidate must lie inside its track with so much of the query, or with the whole track.
MIN_OVERLAP = 0.5
_CHUNK = 1 << 20  # places of segments looked at together (about 20 MB)


@dataclass(frozen=True)
class Candidates:
    """Places the query may come from: row numbers and counts, int64 [c], in order of rows.

    Query segment ``i`` is compared with row ``starts + i``, as far as that is one of the track's
    rows ``firsts .. firsts + counts - 1``; starts may lie before.
    """

    starts: np.ndarray
    firsts: np.ndarray
    counts: np.ndarray

    def take(self, which: np.ndarray) -> Candidates:
        """Those of the given numbers, or for which a bool array [c] is true."""
        return Candidates(self.starts[which], self.firsts[which], self.counts[which])


def propose(library: Library, rows: np.ndarray, positions: np.ndarray) -> Candidates:
    """Offset compensation (Eq. 7): the distinct starts at which a neighbour meets its segment.

    ``rows [n, k]`` are neighbours of the sounding segments, at ``positions [n]`` of the query; -1
    where there are none.
    """
    _, firsts, counts = library.spans(rows)
    starts = rows - positions[:, None]
    found = firsts >= 0
    firsts, starts, counts = firsts[found], starts[found], counts[found]
    # Two tracks may have the same start (before the one, inside the other): they are two. A
    # start is less than the query before the first row, so one number stands for both.
    before = int(positions.max(initial=0))
    width = int(counts.max(initial=0)) + before + 1
    _, which = np.unique(firsts * width + (starts - firsts + before), return_index=True)
    firsts, starts, counts = firsts[which], starts[which], counts[which]
    candidates = Candidates(starts, firsts, counts)
    overlap = _overlap(positions, candidates)
    enough = np.minimum(math.ceil(MIN_OVERLAP * len(positions)), counts)
    return candidates.take(overlap >= enough)


def _overlap(positions: np.ndarray, candidates: Candidates) -> np.ndarray:
    """How many of the query's segments lie inside the track: int64 [c]."""
    before = candidates.firsts - candidates.starts
    inside = np.searchsorted(positions, [before, before + candidates.counts])
    return np.asarray(inside[1] - inside[0])


def scores(
    library: Library, queries: np.ndarray, positions: np.ndarray, candidates: Candidates
) -> np.ndarray:
    """Eq. 8 for every candidate: the mean inner product over the segments inside the track, [c]."""
    means = np.empty(len(candidates.starts))
    step = max(1, _CHUNK // len(queries))
    for begin in range(0, len(means), step):
        chunk = candidates.take(np.arange(begin, min(begin + step, len(means))))
        terms = similarities(library, queries, positions, chunk)
        means[begin : begin + step] = np.nanmean(terms, axis=1, dtype=np.float64)
    return means


def similarities(
    library: Library, queries: np.ndarray, positions: np.ndarray, candidates: Candidates
) -> np.ndarray:
    """Inner products of segments with the rows they meet: [c, n], NaN outside of the track."""
    rows, inside = _rows(positions, candidates)
    terms = library.products(rows, queries)
    terms[~inside] = np.nan
    return terms


def agreement(
    library: Library, positions: np.ndarray, place: Candidates, others: Candidates
) -> np.ndarray:
    """How alike a place's own fingerprints are to those of others: mean inner products, [c].

    Over the segments that are inside both tracks; 0 where these are not at least half.
    """
    (own, own_inside), (rows, inside) = (
        _rows(positions, candidates) for candidates in (place, others)
    )
    shared = own_inside & inside
    terms = library.products(rows, library.vectors(own[0]))
    counts = shared.sum(axis=1)
    means = np.where(shared, terms, 0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts >= MIN_OVERLAP * len(positions), means, 0.0)


def _rows(positions: np.ndarray, candidates: Candidates) -> tuple[np.ndarray, np.ndarray]:
    """The row that each segment meets, [c, n], clipped to the track, and whether it was inside."""
    last = candidates.firsts + candidates.counts - 1
    rows = candidates.starts[:, None] + positions
    clipped = np.clip(rows, candidates.firsts[:, None], last[:, None])
    return clipped, rows == clipped


def best_of_tracks(candidates: Candidates, scores: np.ndarray) -> np.ndarray:
    """Numbers of each track's best candidate, best track first; ties go to earlier rows."""
    order = np.lexsort((-scores, candidates.firsts))
    _, first_of_track = np.unique(candidates.firsts[order], return_index=True)
    best = order[first_of_track]
    return best[np.argsort(-scores[best], kind="stable")]


def refine(
    library: Library, queries: np.ndarray, positions: np.ndarray, place: Candidates
) -> float:
    """Where between -0.5 and 0.5 hops from a candidate the scores peak, by a parabola.

    The query's segments are off the track's grid by some part of a hop, and its similarity to the
    fingerprints before and after tells which.
    """
    around = Candidates(
        place.starts + np.array([-1, 0, 1]), place.firsts.repeat(3), place.counts.repeat(3)
    )
    terms = similarities(library, queries, positions, around)
    common = ~np.isnan(terms).any(axis=0)
    if not common.any():
        return 0.0
    before, here, after = terms[:, common].mean(axis=1, dtype=np.float64)
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
