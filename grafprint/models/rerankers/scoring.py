"""From probabilities of pairs of segments to a song's score."""

from __future__ import annotations

import numpy as np

LEAST = 0.5  # the probability from which a segment counts


def song_score(segments: np.ndarray, probabilities: np.ndarray, least: float = LEAST) -> float:
    """Score a song: the sum over its matched segments of each one's best probability.

    Args:
        segments: ``[n]``, which of the song's segments each pair is about.
        probabilities: ``[n]``; of a segment that several of the query's match, the best counts.
        least: segments whose best probability is below do not count.

    Returns:
        0 if nothing counts: then the song is rejected.
    """
    if len(segments) != len(probabilities):
        raise ValueError(f"{len(segments)} segments, but {len(probabilities)} probabilities")
    if not len(segments):
        return 0.0
    _, which = np.unique(segments, return_inverse=True)
    best = np.zeros(which.max() + 1)
    np.maximum.at(best, which, probabilities)
    return float(best[best >= least].sum())
