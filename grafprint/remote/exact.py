"""Exact search in the memory of the program that asks, for libraries without a search server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from grafprint.errors import LibraryError
from grafprint.remote.engine import EngineSettings
from grafprint.remote.schema import RUN_BITS

if TYPE_CHECKING:
    from grafprint.library.index.row_index import RowIndex

# 27 hours of music at a hop of 96 ms: 512 MB, and about a second of one core for a 5 s query.
MOST = 1_000_000

Portions = Callable[[list[int]], Iterator[tuple[np.ndarray, np.ndarray]]]


class ExactEngine:
    """All fingerprints in memory, compared with each segment; kept in step by :meth:`follow`."""

    exact = True

    def __init__(self, settings: EngineSettings, dim: int) -> None:
        self.settings, self._dim = settings, dim
        self._forget()

    def _forget(self) -> None:
        self._runs: set[int] = set()
        self._rows = np.empty(0, np.int64)  # row numbers, by the index's own numbers
        self.__dict__.pop("_index", None)

    def put(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Do nothing: each program reads what it lacks before it searches."""

    def remove(self, runs: Iterable[int]) -> None:
        """Do nothing, as :meth:`put`."""

    def follow(self, runs: dict[int, int], portions: Portions) -> None:
        """Bring the index up to date with the library's ``runs`` and the row counts of each.

        ``portions`` reads the rows and vectors of runs. Raises LibraryError if there are too many.
        """
        if (rows := sum(runs.values())) > MOST:
            raise LibraryError(
                f"the library has {rows:,} fingerprints, too many to search without a search "
                "server: start a Milvus server, and name it with `grafprint library reindex "
                "--milvus`"
            )
        try:
            self._follow(runs, portions)
        except BaseException:  # in the middle of a change: what there is cannot be trusted
            self._forget()
            raise

    def _follow(self, runs: dict[int, int], portions: Portions) -> None:
        if gone := self._runs - runs.keys():
            gone_runs = np.fromiter(gone, np.int64)
            dead = np.isin(self._rows >> RUN_BITS, gone_runs)
            self._index.remove(dead)
            self._runs -= gone
        # In order of rows, so that equal products come in the order of a folder's.
        if new := sorted(runs.keys() - self._runs):
            for rows_, vectors in portions(new):
                numbers = np.arange(len(self._rows), len(self._rows) + len(rows_))
                self._index.add(numbers, vectors)
                self._rows = np.concatenate([self._rows, rows_])
            self._runs.update(new)

    def search(self, queries: np.ndarray, k: int | None) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`~grafprint.remote.engine.Engine`."""
        products, found = self._index.search(queries, k or self._index.neighbours(len(queries)))
        there = found >= 0
        rows = np.full(found.shape, -1)
        rows[there] = self._rows[found[there]]
        return products, rows

    def close(self) -> None:
        """Do nothing: there is no connection."""

    @cached_property
    def _index(self) -> RowIndex:
        from grafprint.library.index import row_index

        state = row_index.IndexState("", 0, 0, 0, row_index.EXACT)
        return row_index.RowIndex.train(self._dim, state, np.empty((0, self._dim), np.float32))
