"""Which rows of the fingerprints belong to which track."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np


class _Rows(Protocol):
    """A track, as far as its rows are concerned."""

    @property
    def id(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def count(self) -> int: ...


class RowTable:
    """Which rows of the fingerprints belong to which track; rows of no track are dead.

    ``ids``, ``firsts`` and ``counts`` (int64 [tracks]) are ordered by first row.
    """

    def __init__(self, tracks: Iterable[_Rows]) -> None:
        rows = sorted((t.first, t.count, t.id) for t in tracks)
        table = np.array(rows, np.int64).reshape(-1, 3)
        self.firsts, self.counts, self.ids = (np.ascontiguousarray(c) for c in table.T)
        self.total = int(self.counts.sum())

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Track id, first row and row count for rows ``[...]``; -1, -1, 0 for rows of no track."""
        rows = np.asarray(rows, np.int64)
        if not len(self.ids):
            return np.full(rows.shape, -1), np.full(rows.shape, -1), np.zeros(rows.shape, np.int64)
        place = np.maximum(np.searchsorted(self.firsts, rows, side="right") - 1, 0)
        first, count = self.firsts[place], self.counts[place]
        inside = (rows >= first) & (rows < first + count)
        return (
            np.where(inside, self.ids[place], -1),
            np.where(inside, first, -1),
            np.where(inside, count, 0),
        )

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The row numbers (int64) of the live rows at ``places [n]``, counted in order from 0."""
        # The n-th live row lies in the track at which the running total of the counts passes n.
        ends = np.cumsum(self.counts)
        track = np.searchsorted(ends, places, side="right")
        return self.firsts[track] + places - (ends - self.counts)[track]

    def live(self, begin: int, end: int) -> np.ndarray:
        """Whether each of the rows ``begin .. end - 1`` belongs to a track: bool [n]."""
        return self.spans(np.arange(begin, end))[0] >= 0
