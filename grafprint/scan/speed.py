"""At which speed a track plays: the slope of the line through the times of recording and track."""

from __future__ import annotations

import numpy as np

from grafprint.matching import Match, alignment
from grafprint.matching.collection import Collection

FASTEST = 0.07  # the largest deviation from the track's own speed that is looked for
_WINDOW_S, _EVERY_S = 1.5, 0.5  # parts of a clip whose places in the track are found one by one
_LEAST = 6  # as many parts are needed
_OFF_LINE = 0.6  # hops that a part may be off the line


def slope(indices: np.ndarray, places: np.ndarray) -> float:
    """Places per segment, from segments ``indices [n]`` and their ``places [n]`` in the track."""
    return float(np.polyfit(indices, places, 1)[0])


def speed_of(
    collection: Collection, fingerprints: np.ndarray, match: Match, from_segment: int = 0
) -> float | None:
    """Seconds of the matched track per second of a clip with ``fingerprints [m, dim]``.

    The match begins with segment ``from_segment``. Every half second, the place where the track is
    most similar is looked for near the match, and a line is laid through these places; parts that
    are off it, by noise or because music repeats itself, do not count. None if too few are on it
    (the clip is shorter than about 5 s, or much of it is other sound).

    Raises LibraryError if the track's fingerprints are damaged.
    """
    queries = fingerprints[from_segment : from_segment + len(match.segment_scores)]
    window, every = (round(s / collection.hop_s) for s in (_WINDOW_S, _EVERY_S))
    middle = len(queries) / 2
    start = match.start_s / collection.hop_s
    found = []
    for begin in range(0, len(queries) - window + 1, every):
        centre = begin + window / 2
        reach = int(np.ceil(FASTEST * abs(centre - middle))) + 3
        place = _place(collection, queries[begin : begin + window], match, start + begin, reach)
        if place is not None:
            found.append((centre, place + window / 2))
    if len(found) < _LEAST:
        return None
    indices, places = np.array(found).T
    on_line = np.ones(len(found), bool)
    for _ in range(3):
        line = np.polyfit(indices[on_line], places[on_line], 1)
        off = np.abs(places - np.polyval(line, indices))
        on_line = off <= max(_OFF_LINE, 2.5 * float(np.median(off)))
    # Most of the parts must agree, and no line through scattered ones is steeper than this.
    if (off <= _OFF_LINE).sum() < max(_LEAST, 0.6 * len(found)):
        return None
    speed = slope(indices[on_line], places[on_line])
    return speed if abs(speed - 1) <= FASTEST else None


def _place(
    collection: Collection, queries: np.ndarray, match: Match, expected: float, reach: int
) -> float | None:
    """Where in the track (in hops) consecutive ``queries`` begin, at most ``reach`` hops away.

    None if they are silent or that is not inside the track.
    """
    first = round(expected) - reach
    places = first + np.arange(2 * reach + len(queries))
    if first < 0 or places[-1] >= match.track.count or not queries.any():
        return None
    products = queries @ collection.vectors(match.track.first + places).T
    offsets = np.arange(2 * reach + 1)
    rows = np.arange(len(queries))
    scores = products[rows, offsets[:, None] + rows].mean(axis=1)
    best = int(scores.argmax())
    if not 0 < best < len(scores) - 1:
        return None
    fraction = alignment.peaks(scores[best - 1 : best + 2].reshape(1, 3, 1))[0]
    return float(first + best + fraction)
