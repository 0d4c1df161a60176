"""The map of a library: its fingerprints as points of a plane, stored beside them.

``map.npz`` in the library's folder is derived, like the index. It records the library's state; a
map of another state, or a damaged one, is ignored.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from dataclasses import replace as with_changes
from pathlib import Path

import numpy as np

from grafprint import files
from grafprint.explore import umap_layout
from grafprint.explore.umap_layout import OnProgress
from grafprint.library import LibraryError
from grafprint.library.index import row_index
from grafprint.library.index.row_index import IndexState, RowIndex
from grafprint.remote.opening import AnyLibrary

MAP = "map.npz"
MOST = 50_000  # points; more could not be told apart on a screen
_KIND = "UMAP 1"  # how the map was made, in place of the state's index factory
_STEPS = 65_535  # of a coordinate in the file
# A query is placed at the mean of its nearest neighbours, weighted by exp(inner product /
# sharpness). Among 0.01 to 0.3, this sharpness placed queries in noise at 0 dB close to their
# tracks, and few of them between two tracks; 0.01 did slightly better, but shows only the nearest.
_NEIGHBOURS, _SHARPNESS = 15, 0.02

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Map:
    """Fingerprints as points of a plane.

    ``rows [p]`` (int64, ascending) are rows of the library and ``xy [p, 2]`` (float32, 0 to 1)
    their places; only nearness has a meaning, the axes have none. ``state`` is the library's state.
    """

    rows: np.ndarray
    xy: np.ndarray
    state: IndexState

    def __len__(self) -> int:
        return len(self.rows)


def make(library: AnyLibrary, progress: OnProgress, most: int = MOST) -> Map:
    """Lay out at most ``most`` fingerprints, taken evenly from the whole library.

    Silent ones (zero vectors) are left out. Takes 20 s for 25,000 on two cores. ``progress`` is
    called as :func:`grafprint.explore.umap_layout.lay_out` says, and may raise to stop, which
    leaves everything as it was.

    Raises LibraryError if there are too few fingerprints.
    """
    with library.locked():
        state, table = _map_state(library), library.table()
        places = np.arange(table.total)
        if table.total > most:
            places = np.linspace(0, table.total - 1, most).round().astype(np.int64)
        rows = table.rows(places)
        vectors = library.vectors(rows)
    non_silent = vectors.any(axis=1)
    rows, vectors = rows[non_silent], vectors[non_silent]
    if len(rows) <= umap_layout.NEIGHBOURS:
        raise LibraryError(
            f"the library {library.path} has {len(rows)} fingerprints with sound, and a map needs "
            f"more than {umap_layout.NEIGHBOURS}: index some music first"
        )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Rounded as in the file, so that a new map equals the one read back.
    steps = np.round(umap_layout.lay_out(vectors, progress) * _STEPS)
    return Map(rows, _places(steps), state)


def save(library: AnyLibrary, drawn: Map) -> None:
    """Store the map in the library's folder, atomically; the library need not be writable.

    Raises LibraryError if the disk is full or the folder read-only.
    """
    record = json.dumps(asdict(drawn.state))

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                stamp=np.array(record),
                row_steps=np.diff(drawn.rows, prepend=0),
                xy=np.round(drawn.xy * _STEPS).astype(np.uint16),
            )

    files.replace(library.path / MAP, write)


def load(library: AnyLibrary) -> Map | None:
    """The stored map, if there is one of the library's current state."""
    path = library.path / MAP
    try:
        with np.load(path, allow_pickle=False) as file:
            state = IndexState(**json.loads(str(file["stamp"])))
            rows, xy = np.cumsum(file["row_steps"], dtype=np.int64), file["xy"]
        if xy.shape != (len(rows), 2) or (len(rows) and not 0 <= rows[0] <= rows[-1] < state.rows):
            raise ValueError("its parts do not fit together")
    except FileNotFoundError:
        return None
    except Exception as failure:  # zipfile alone raises ten kinds
        _log.warning("%s is damaged and ignored (%s)", path, failure)
        return None
    return Map(rows, _places(xy), state) if state == _map_state(library) else None


def fits(library: AnyLibrary, drawn: Map) -> bool:
    """Whether the map is of the library's current state."""
    return drawn.state == _map_state(library)


class Placer:
    """Places further fingerprints on a map, by their nearest mapped fingerprints.

    An exact search, without UMAP. May be used from several threads.
    """

    def __init__(self, library: AnyLibrary, drawn: Map) -> None:
        """Read the mapped fingerprints (25 MB for 50,000).

        Raises LibraryError if the map is of another state of the library.
        """
        if not fits(library, drawn):
            raise LibraryError(f"the map of {library.path} is out of date: make it again")
        self._map, self._library = drawn, library
        state = with_changes(drawn.state, factory=row_index.EXACT)
        self._index = RowIndex.train(library.dim, state, np.empty((0, library.dim), np.float32))
        self._index.add(np.arange(len(drawn)), library.vectors(drawn.rows))

    def place(self, fingerprints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of ``fingerprints [m, dim]`` on the map, and the nearest mapped rows.

        Returns float32 ``[m, 2]`` and int64 ``[m]``; NaN and -1 for silent ones.
        """
        products, points = self._index.search(fingerprints, min(_NEIGHBOURS, len(self._map)))
        weights = np.exp((products - products[:, :1]) / _SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        xy = np.einsum("mk,mkc->mc", weights, self._map.xy[points]).astype(np.float32)
        rows = self._map.rows[points[:, 0]]
        silent = ~fingerprints.any(axis=1)
        xy[silent], rows[silent] = np.nan, -1
        return xy, rows

    def nearest(
        self, point: int, count: int = 8, per_track: int = 8, apart_s: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The passages most similar to that of a point of the map.

        Returns at most ``count`` points, nearest first, and their cosine similarities: int64 and
        float32 ``[m]``. Those of one track are at least ``apart_s`` apart and away from ``point``,
        and at most ``per_track``. Raises IndexError if there is no such point.
        """
        if not 0 <= point < len(self._map):
            raise IndexError(f"the map has points 0 to {len(self._map) - 1}")
        query = self._library.vectors(self._map.rows[point : point + 1]).astype(np.float32)
        ids, firsts, _ = self._library.spans(self._map.rows)
        hops, apart = self._map.rows - firsts, apart_s / self._library.hop_s
        asked = min(len(self._map), 32 * count)
        while True:
            products, points = (found[0] for found in self._index.search(query, asked))
            taken = {int(ids[point]): [int(hops[point])]}
            chosen: list[int] = []
            for i, (track, hop) in enumerate(zip(ids[points], hops[points], strict=True)):
                same = taken.setdefault(int(track), [])
                most = per_track + (track == ids[point])  # the point itself does not count
                if len(same) < most and all(abs(other - hop) >= apart for other in same):
                    same.append(int(hop))
                    chosen.append(i)
                    if len(chosen) == count:
                        break
            if len(chosen) == count or asked == len(self._map):
                return points[chosen], products[chosen]
            asked = min(len(self._map), 4 * asked)


def _map_state(library: AnyLibrary) -> IndexState:
    return with_changes(library.index_state(), factory=_KIND)


def _places(steps: np.ndarray) -> np.ndarray:
    return steps.astype(np.float32) / np.float32(_STEPS)
