"""Ask the landmarks of tracks, as a second witness beside their fingerprints."""

from __future__ import annotations

import numpy as np

from grafprint.audio.landmarks import ROW_FRAMES
from grafprint.matching import alignment
from grafprint.matching.alignment import Candidates
from grafprint.matching.collection import Collection
from grafprint.matching.landmarks import ClipContrast

# What a place's landmarks add to its score, chosen on virtual re-recordings of validation music.
WEIGHT = 0.6
# Places that fingerprints alone would not have proposed: the best two of each track, and of all
# tracks as many as this.
_PLACES, _PROPOSED = 2, 64
_APART = 2 * ROW_FRAMES  # frames between two places of a track
# Rows of landmarks times frames of the clip that are compared: 20 hours of music and 5 s of clip,
# in about 0.1 s. In larger libraries the tracks whose fingerprints are nearest are heard.
_WORK = 235_000_000


def hear(
    library: Collection,
    clip: ClipContrast,
    queries: np.ndarray,
    positions: np.ndarray,
    candidates: Candidates,
    scores: np.ndarray,
) -> tuple[Candidates, np.ndarray, np.ndarray]:
    """Add the places that landmarks propose, and ask them about all.

    Takes the candidates with their ``scores [c]``, and returns both with the places added, and how
    well landmarks fit at each (0 where they were not asked): float32 [c].
    """
    firsts, counts = _tracks(library, clip, candidates, scores)
    library.prefetch_landmarks(firsts)
    fits = {first: clip.lay_over(library.landmarks(first, first + n)) for first, n in
            zip(firsts.tolist(), counts.tolist(), strict=True)}  # fmt: skip
    proposed = _propose(fits, dict(zip(firsts.tolist(), counts.tolist(), strict=True)), clip)
    proposed = alignment.covering(positions, alignment.without(proposed, candidates))
    if len(proposed.starts):
        more = alignment.score_all(library, queries, positions, proposed)
        candidates = alignment.joined(candidates, proposed)
        scores = np.concatenate([scores, more])
    found = np.zeros(len(scores), np.float32)
    for number, (start, first) in enumerate(
        zip(candidates.starts.tolist(), candidates.firsts.tolist(), strict=True)
    ):
        if (fit := fits.get(first)) is not None:
            at = (start - first) * ROW_FRAMES + clip.frames - 1
            near = fit[max(0, at - ROW_FRAMES) : max(0, at + ROW_FRAMES + 1)]
            found[number] = near.max(initial=0.0)
    return candidates, scores, found


def _tracks(
    library: Collection, clip: ClipContrast, candidates: Candidates, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First rows and row counts of the tracks to hear: all, or those whose scores are best."""
    rows = _WORK // clip.frames
    if len(library) <= rows:
        return library.tracks_rows()
    best = candidates.take(alignment.best_of_tracks(candidates, scores))
    heard = np.cumsum(best.counts) <= rows
    return best.firsts[heard], best.counts[heard]


def _propose(fits: dict[int, np.ndarray], counts: dict[int, int], clip: ClipContrast) -> Candidates:
    """The starts before and after the best places, in frames, of all tracks."""
    peaks = []
    for first, fit in fits.items():
        rest = fit.copy()
        for _ in range(_PLACES):
            at = int(rest.argmax())
            peaks.append((float(rest[at]), first, at))
            rest[max(0, at - _APART) : at + _APART + 1] = 0
    peaks.sort(reverse=True)
    places = {
        (first + (at - (clip.frames - 1)) // ROW_FRAMES + after, first)
        for _, first, at in peaks[:_PROPOSED]
        for after in (0, 1)
    }
    starts, firsts = np.array(sorted(places), np.int64).reshape(-1, 2).T
    return Candidates(starts, firsts, np.array([counts[int(f)] for f in firsts], np.int64))
