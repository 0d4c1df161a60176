"""A map as an atlas: where its points crowd, and what the tracks of each crowd share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from grafprint.explore.library_map import Map
from grafprint.library import Track
from grafprint.remote.opening import AnyLibrary

# What tracks can share, the most specific first: its name, and its value for a track.
SHARED: tuple[tuple[str, Callable[[Track], str]], ...] = (
    ("track", lambda track: track.title),
    ("album", lambda track: track.album),
    ("artist", lambda track: track.artist),
)
# The levels of names, from the whole map to its details: how far apart points of one region are, in
# widths of the map, and what the tracks of a region share at least.
LEVELS = ((0.01, "artist"), (0.007, "album"), (0.004, "track"))
MOST_SHARE = 0.7  # of a region's points that must share what it is named after
FEWEST = 12  # points of a region with a name: about two seconds of music
_CELLS = 512  # of the grid, along each side


@dataclass(frozen=True)
class Region:
    """A crowd of points: the middle ``x, y`` of its points, their number, and its name.

    ``kind`` is what its tracks share, a name in SHARED.
    """

    x: float
    y: float
    points: int
    kind: str
    name: str


def regions(xy: np.ndarray, spread: float) -> np.ndarray:
    """The region of each point ``[p, 2]`` (0 to 1), numbered from 0: int64 ``[p]``.

    Points belong together if points lie between them at most about ``spread`` apart. A stray point
    belongs to none: -1.
    """
    cells, grid = _smoothed(xy, spread)
    # Higher than the peak of a single point: two points within the spread make a region.
    peak = 1 / (2 * np.pi * (spread * _CELLS) ** 2)
    labels, _ = ndimage.label(grid > 1.2 * peak, np.ones((3, 3)))
    return labels[cells].astype(np.int64) - 1


def density(xy: np.ndarray, spread: float = 0.008) -> np.ndarray:
    """How crowded the place of each point ``[p, 2]`` is: ``[p]``, from 0 to 1 for the most crowded.

    Logarithmic: of equal steps, each is as many times as crowded as the one before.
    """
    if not len(xy):
        return np.zeros(0)
    cells, grid = _smoothed(xy, spread)
    crowd = np.log(grid[cells].clip(1e-12))
    return (crowd - crowd.min()) / max(np.ptp(crowd), 1e-12)


def name_regions(library: AnyLibrary, drawn: Map) -> list[list[Region]]:
    """The named regions of a map for each of LEVELS, those with the most points first.

    Regions whose tracks share nothing, or less than the level asks for, are divided by that: the
    parts may lie among each other.
    """
    ids, track = np.unique(library.track_of(drawn.rows), return_inverse=True)
    tracks = [library.track(int(i)) for i in ids]
    kinds = [kind for kind, _ in SHARED]
    levels = []
    for spread, least in LEVELS:
        depth = kinds.index(least)
        group = np.array(_groups(tracks, depth))[track]
        found = []
        for points in _parts(drawn.xy, np.arange(len(drawn)), spread):
            name = _shared(tracks, track[points], depth)
            if name is not None:
                found.append(_region(drawn.xy[points], name))
                continue
            for number in np.unique(group[points]):
                for part in _parts(drawn.xy, points[group[points] == number], spread):
                    name = _shared(tracks, track[part], depth)
                    if name is not None:
                        found.append(_region(drawn.xy[part], name))
        levels.append(sorted(found, key=lambda region: -region.points))
    return levels


def sounds(library: AnyLibrary, tracks: Sequence[Track]) -> list[str]:
    """What each track sounds like, unlike the others: a label, or '' if it has none.

    It is the label whose probability is farthest above the mean of the tracks: Music, which nearly
    all have, tells nothing. Among equals it is the likeliest.
    """
    found = [library.labels_of(track) for track in tracks]
    total = Counter[str]()
    for labels in found:
        total.update(labels)
    tagged = max(1, sum(map(bool, found)))

    def above(labels: dict[str, float], label: str) -> float:
        return round(labels[label] - total[label] / tagged, 6)

    return [max(ls, key=lambda label, ls=ls: above(ls, label), default="") for ls in found]  # type: ignore[misc]


def _parts(xy: np.ndarray, points: np.ndarray, spread: float) -> list[np.ndarray]:
    """The regions of some points that are large enough to be named, as lists of points."""
    number = regions(xy[points], spread)
    parts = [points[number == region] for region in np.unique(number[number >= 0])]
    return [part for part in parts if len(part) >= FEWEST]


def _region(xy: np.ndarray, name: tuple[str, str]) -> Region:
    x, y = xy.mean(axis=0)
    return Region(float(x), float(y), len(xy), *name)


def _groups(tracks: Sequence[Track], depth: int) -> list[int]:
    """A number for what each track shares with others of the same number."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(_value(track, depth), len(numbers)) for track in tracks]


def _value(track: Track, depth: int) -> Hashable:
    """What a track shares at a depth of SHARED; where it has none of that, the track itself."""
    # Two tracks of one title are still two tracks.
    return (SHARED[depth][1](track) if depth else "") or track.id


def _shared(tracks: Sequence[Track], track: np.ndarray, depth: int) -> tuple[str, str] | None:
    """Kind and name of the most specific that most points share, of SHARED up to ``depth``."""
    counts = np.bincount(track, minlength=len(tracks))
    for step, (kind, name) in enumerate(SHARED[: depth + 1]):
        shares = Counter[Hashable]()
        names: dict[Hashable, str] = {}
        for number in np.flatnonzero(counts).tolist():
            value = _value(tracks[number], step)
            shares[value] += int(counts[number])
            names[value] = name(tracks[number])
        value, count = shares.most_common(1)[0]
        if names[value] and count >= MOST_SHARE * len(track):
            return kind, names[value]
    return None


def _smoothed(xy: np.ndarray, spread: float) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The cell (row, column) of each point, and the number of points a cell, smoothed.

    The grid is as large as the points need.
    """
    sigma = spread * _CELLS
    margin = int(4 * sigma) + 1
    cell = (xy * _CELLS).astype(np.int64)
    cell += margin - cell.min(axis=0, initial=_CELLS)
    width, height = cell.max(axis=0, initial=0) + margin + 1
    grid = np.bincount(cell[:, 1] * width + cell[:, 0], minlength=width * height)
    smoothed = ndimage.gaussian_filter(
        grid.reshape(height, width).astype(np.float64), sigma, mode="constant"
    )
    return (cell[:, 1], cell[:, 0]), smoothed
