"""Keep a library's index in step with its rows: read it, catch up, make it anew, save it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from grafprint import index
from grafprint.index import RowIndex, Stamp
from grafprint.records import Track
from grafprint.store import VectorStore
from grafprint.tuning import Tuning, tune

_BLOCK = 1 << 16  # rows handled at once
_SEED = 20250406


class RowTable:
    """Which rows of the fingerprints belong to which track; the others are dead.

    ``ids``, ``firsts`` and ``counts`` (int64 [tracks]) are ordered by first row.
    """

    def __init__(self, tracks: Iterable[Track]) -> None:
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
        """The rows (int64) at ``places [n]`` when the live rows are counted in order from 0 on."""
        # The n-th live row lies in the track at which the running total of the counts passes n.
        ends = np.cumsum(self.counts)
        track = np.searchsorted(ends, places, side="right")
        return self.firsts[track] + places - (ends - self.counts)[track]

    def live(self, begin: int, end: int) -> np.ndarray:
        """Whether each of the rows ``begin .. end - 1`` belongs to a track: bool."""
        return self.spans(np.arange(begin, end))[0] >= 0


class IndexKeeper:
    """The index at ``path`` and the one in memory.

    ``buckets`` is the file of directions that its inverted lists get, where a library has its own.
    """

    def __init__(self, path: Path, buckets: Path) -> None:
        self._path, self._buckets = path, buckets
        self._index: RowIndex | None = None

    @property
    def tuning(self) -> Tuning | None:
        """What the index in memory was tuned to, if it is one that needs it."""
        return self._index.tuning if self._index else None

    def current(self, wanted: Stamp, table: RowTable, vectors: VectorStore) -> RowIndex:
        """An index of the state ``wanted``, by whichever way takes the least work."""
        current, self._index = self._index, None  # until it is in step again
        if current is None and wanted.factory != index.EXACT:
            current = RowIndex.load(self._path)
        if current is None or not _can_catch_up(current, wanted, table):
            sample = _sample(wanted.factory, table, vectors)
            buckets = np.load(self._buckets) if self._buckets.is_file() else None
            current = RowIndex.train(vectors.dim, wanted, sample, buckets)
            _add(current, 0, wanted.rows, table, vectors)
        else:
            _add(current, current.stamp.rows, wanted.rows, table, vectors)
        current.stamp = wanted
        if current.lists > 1 and (not current.tuning or current.tuning.outgrown(len(current))):
            current.tuning = tune(current, table, vectors)
        self._index = current
        return current

    def save(self, wanted: Stamp, table: RowTable, vectors: VectorStore) -> None:
        """Have the state ``wanted`` on the disk. Raises LibraryError if the disk is full.

        An exact index is as quick to make as to read, so only others are saved.
        """
        if wanted.factory == index.EXACT:
            index.delete(self._path)
        elif index.saved_stamp(self._path) != wanted:
            current = self.current(wanted, table, vectors)
            if not current.exact:
                current.save(self._path)


def _can_catch_up(current: RowIndex, wanted: Stamp, table: RowTable) -> bool:
    """Whether adding rows will do; rows that have died since are removed here."""
    has = current.stamp
    if (has.library_id, has.generation, has.factory) != (
        wanted.library_id,
        wanted.generation,
        wanted.factory,
    ):
        return False
    if has.rows > wanted.rows:
        return False
    if current.exact and wanted.factory != index.EXACT and has.rows < wanted.rows:
        return False  # there may be enough to train on now
    return has.removals == wanted.removals or current.remove(~table.live(0, has.rows))


def _add(target: RowIndex, first: int, end: int, table: RowTable, vectors: VectorStore) -> None:
    with target.filling():
        for begin in range(first, end, _BLOCK):
            stop = min(begin + _BLOCK, end)
            live = table.live(begin, stop)
            target.add(np.arange(begin, stop)[live], vectors.read_range(begin, stop)[live])


def _sample(factory: str, table: RowTable, vectors: VectorStore) -> np.ndarray:
    """Fingerprints to train an index of this kind on, drawn from all tracks alike."""
    size = index.training_size(factory, vectors.dim, table.total)
    if size == 0:
        return np.empty((0, vectors.dim), np.float32)
    chosen = np.sort(np.random.default_rng(_SEED).choice(table.total, size, replace=False))
    return vectors.read(table.rows(chosen))
