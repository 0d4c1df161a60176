"""Keep the index in sync with the stored fingerprints: load, update, rebuild, save."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from grafprint.library.index import row_index
from grafprint.library.index.row_index import IndexState, RowIndex
from grafprint.library.index.tuning import Tuning
from grafprint.library.index_tuning import tune
from grafprint.library.rows import RowTable
from grafprint.library.vectors import VectorStore

_BLOCK = 1 << 16  # rows handled at once
_SEED = 20250406


class IndexKeeper:
    """The saved index at ``path`` and the one in memory.

    ``buckets`` is the file with the centroids of its inverted lists, if the library was given any.
    """

    def __init__(self, path: Path, buckets: Path) -> None:
        self._path, self._buckets = path, buckets
        self._index: RowIndex | None = None

    @property
    def tuning(self) -> Tuning | None:
        """The tuning of the index in memory; None if there is no index or it is exact."""
        return self._index.tuning if self._index else None

    def current(self, wanted: IndexState, table: RowTable, vectors: VectorStore) -> RowIndex:
        """An index in the state ``wanted``: the one in memory, updated, if possible."""
        current = self._starting_point(wanted, table, vectors)
        self._index = None  # while it is being changed
        if current.state.removals != wanted.removals and not current.remove(
            ~table.live(0, current.state.rows)
        ):
            current = _empty(wanted, table, vectors, self._buckets)
        with current.filling():
            for rows, new in _portions(current.state.rows, wanted.rows, table, vectors):
                current.add(rows, new)
        current.state = wanted
        _tune(current, table, vectors)
        self._index = current
        return current

    def save(self, wanted: IndexState, table: RowTable, vectors: VectorStore) -> None:
        """Save the index in the state ``wanted``. Raises LibraryError if the disk is full.

        An exact index is as quick to build as to read, so only other kinds are saved. If the kind
        has its lists in the file, new rows are merged into them there.
        """
        if wanted.factory == row_index.EXACT:
            row_index.delete(self._path)
        elif row_index.saved_state(self._path) != wanted:
            start = self._starting_point(wanted, table, vectors)
            if not start.in_file:
                current = self.current(wanted, table, vectors)
                if not current.exact:
                    current.save(self._path)
                return
            removed = start.state.removals != wanted.removals
            self._index = start.save(
                self._path,
                wanted,
                _portions(start.state.rows, wanted.rows, table, vectors),
                (lambda rows: table.spans(rows)[0] >= 0) if removed else None,
                lambda saved: _tune(saved, table, vectors),
            )

    def _starting_point(
        self, wanted: IndexState, table: RowTable, vectors: VectorStore
    ) -> RowIndex:
        """The index in memory or the saved one if it can become ``wanted``, else an empty one."""
        index = self._index
        if index is None and wanted.factory != row_index.EXACT:
            index = RowIndex.load(self._path)
        if index is None or not _can_become(index, wanted):
            return _empty(wanted, table, vectors, self._buckets)
        return index


def _empty(wanted: IndexState, table: RowTable, vectors: VectorStore, buckets: Path) -> RowIndex:
    """A trained index of the wanted kind, without rows."""
    sample = _sample(wanted.factory, table, vectors)
    centroids = np.load(buckets) if buckets.is_file() else None
    return RowIndex.train(vectors.dim, replace(wanted, rows=0), sample, centroids)


def _can_become(index: RowIndex, wanted: IndexState) -> bool:
    """Whether adding and removing rows brings ``index`` to the state ``wanted``."""
    has = index.state
    if (has.library_id, has.generation, has.factory) != (
        wanted.library_id,
        wanted.generation,
        wanted.factory,
    ):
        return False
    if has.rows > wanted.rows:
        return False
    # An exact stand-in for another kind: there may be enough rows to train on now.
    return not index.exact or wanted.factory == row_index.EXACT or has.rows == wanted.rows


def _portions(
    first: int, end: int, table: RowTable, vectors: VectorStore
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows from ``first`` to ``end`` (exclusive) that belong to tracks, and their vectors."""
    for begin in range(first, end, _BLOCK):
        stop = min(begin + _BLOCK, end)
        live = table.live(begin, stop)
        yield np.arange(begin, stop)[live], vectors.read_range(begin, stop)[live]


def _tune(current: RowIndex, table: RowTable, vectors: VectorStore) -> None:
    """Choose nprobe and k, unless they are known and the index has not outgrown them."""
    if current.lists > 1 and (not current.tuning or current.tuning.outgrown(len(current))):
        current.tuning = tune(current, table, vectors)


def _sample(factory: str, table: RowTable, vectors: VectorStore) -> np.ndarray:
    """A uniform random sample of the fingerprints, to train this kind of index on."""
    size = row_index.training_size(factory, vectors.dim, table.total)
    if size == 0:
        return np.empty((0, vectors.dim), np.float32)
    chosen = np.sort(np.random.default_rng(_SEED).choice(table.total, size, replace=False))
    return vectors.read(table.rows(chosen))
