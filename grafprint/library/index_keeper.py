"""Keep a library's index in step with its rows: read it, catch up, make it anew, save it."""

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

    def current(self, wanted: IndexState, table: RowTable, vectors: VectorStore) -> RowIndex:
        """An index of the state ``wanted``, by whichever way takes the least work."""
        current = self._begun(wanted, table, vectors)
        self._index = None  # until it is in step again
        if current.stamp.removals != wanted.removals and not current.remove(
            ~table.live(0, current.stamp.rows)
        ):
            current = _empty(wanted, table, vectors, self._buckets)
        with current.filling():
            for rows, new in _portions(current.stamp.rows, wanted.rows, table, vectors):
                current.add(rows, new)
        current.stamp = wanted
        _tune(current, table, vectors)
        self._index = current
        return current

    def save(self, wanted: IndexState, table: RowTable, vectors: VectorStore) -> None:
        """Have the state ``wanted`` on the disk. Raises LibraryError if the disk is full.

        An exact index is as quick to make as to read, so only others are saved. Where lists can
        be in a file, what is new is merged with them there.
        """
        if wanted.factory == row_index.EXACT:
            row_index.delete(self._path)
        elif row_index.saved_state(self._path) != wanted:
            begun = self._begun(wanted, table, vectors)
            if not begun.in_file:
                current = self.current(wanted, table, vectors)
                if not current.exact:
                    current.save(self._path)
                return
            removed = begun.stamp.removals != wanted.removals
            self._index = begun.save(
                self._path,
                wanted,
                _portions(begun.stamp.rows, wanted.rows, table, vectors),
                (lambda rows: table.spans(rows)[0] >= 0) if removed else None,
                lambda made: _tune(made, table, vectors),
            )

    def _begun(self, wanted: IndexState, table: RowTable, vectors: VectorStore) -> RowIndex:
        """The index in memory, the saved one or a new, empty one: what can become ``wanted``."""
        begun = self._index
        if begun is None and wanted.factory != row_index.EXACT:
            begun = RowIndex.load(self._path)
        if begun is None or not _can_catch_up(begun, wanted):
            return _empty(wanted, table, vectors, self._buckets)
        return begun


def _empty(wanted: IndexState, table: RowTable, vectors: VectorStore, buckets: Path) -> RowIndex:
    """An index of the kind wanted that has no rows yet, trained."""
    sample = _sample(wanted.factory, table, vectors)
    directions = np.load(buckets) if buckets.is_file() else None
    return RowIndex.train(vectors.dim, replace(wanted, rows=0), sample, directions)


def _can_catch_up(begun: RowIndex, wanted: IndexState) -> bool:
    """Whether it has become what is wanted when rows were added and removed."""
    has = begun.stamp
    if (has.library_id, has.generation, has.factory) != (
        wanted.library_id,
        wanted.generation,
        wanted.factory,
    ):
        return False
    if has.rows > wanted.rows:
        return False
    # Of an exact one: there may be enough to train on now.
    return not begun.exact or wanted.factory == row_index.EXACT or has.rows == wanted.rows


def _portions(
    first: int, end: int, table: RowTable, vectors: VectorStore
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The rows from ``first`` to ``end`` that belong to tracks, and their vectors."""
    for begin in range(first, end, _BLOCK):
        stop = min(begin + _BLOCK, end)
        live = table.live(begin, stop)
        yield np.arange(begin, stop)[live], vectors.read_range(begin, stop)[live]


def _tune(current: RowIndex, table: RowTable, vectors: VectorStore) -> None:
    """Find how far it has to look, unless that is known."""
    if current.lists > 1 and (not current.tuning or current.tuning.outgrown(len(current))):
        current.tuning = tune(current, table, vectors)


def _sample(factory: str, table: RowTable, vectors: VectorStore) -> np.ndarray:
    """Fingerprints to train an index of this kind on, drawn from all tracks alike."""
    size = row_index.training_size(factory, vectors.dim, table.total)
    if size == 0:
        return np.empty((0, vectors.dim), np.float32)
    chosen = np.sort(np.random.default_rng(_SEED).choice(table.total, size, replace=False))
    return vectors.read(table.rows(chosen))
