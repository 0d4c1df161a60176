"""The landmarks of tracks, fetched from the server in few round trips and kept."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from grafprint.audio.landmarks import EMPTY, PER_ROW
from grafprint.remote import schema
from grafprint.remote.database import Database

_MOST_BYTES = 1 << 27  # of those kept; beyond it, the oldest go

_FETCH = """
SELECT p.id, p.landmarks, octet_length(p.fingerprints)
FROM unnest(%s::bigint[], %s::bigint[]) AS w (first, last)
JOIN grafprint.parts p ON p.id BETWEEN w.first AND w.last
ORDER BY p.id
"""


class TrackLandmarks:
    """The landmarks of whole tracks, by run."""

    def __init__(self, database: Database, dim: int) -> None:
        self._database, self._dim = database, dim
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lacking: set[int] = set()  # runs of which some are not stored

    def prefetch(self, firsts: np.ndarray) -> None:
        """Fetch those of the tracks with these first rows, as far as they are missing."""
        runs = (np.asarray(firsts, np.int64) >> schema.RUN_BITS).tolist()
        missing = [run for run in runs if run not in self._kept]
        if not missing:
            return
        bounds = [schema.parts_of(run) for run in missing]
        rows = self._database.rows(
            _FETCH, ([first for first, _ in bounds], [last for _, last in bounds])
        )
        found: dict[int, list[np.ndarray]] = {run: [] for run in missing}
        for part, data, size in rows:
            none = np.full((size // (2 * self._dim), PER_ROW), EMPTY)
            marks = none if data is None else np.frombuffer(data, "<u2").reshape(-1, PER_ROW)
            run = part >> schema.PARTS_BITS
            found[run].append(marks)
            if data is None:
                self._lacking.add(run)
        for run, parts in found.items():
            joined = np.concatenate([np.empty((0, PER_ROW), np.uint16), *parts])
            self._kept[run] = np.ascontiguousarray(joined, np.uint16)
        used = sum(marks.nbytes for marks in self._kept.values())
        while used > _MOST_BYTES and len(self._kept) > len(missing):
            used -= self._kept.popitem(last=False)[1].nbytes

    def range(self, first: int, end: int) -> np.ndarray:
        """Those of rows ``first`` to ``end`` (exclusive) of a track: uint16 [end - first, 8]."""
        run = first >> schema.RUN_BITS
        start = schema.first_row(run)
        self.prefetch(np.array([start]))
        self._kept.move_to_end(run)
        return self._kept[run][first - start : end - start]

    def forget(self, run: int) -> None:
        """Fetch those of a run again, when they are needed: they have changed."""
        self._kept.pop(run, None)

    def forget_lacking(self) -> None:
        """Fetch those again that were not stored: another program may have found them."""
        for run in self._lacking:
            self.forget(run)
        self._lacking.clear()
