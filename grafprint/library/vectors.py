"""Fingerprints on disk, and inner products with them."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np

from grafprint.library.row_store import RowStore

# Only larger files are prefetched: smaller ones are assumed to stay in memory.
_KEPT_BYTES = 1 << 28
_GAP = 64  # ranges at most this many rows apart are read as one
_PROBES = 16  # ranges that are checked to tell whether all are in memory


class VectorStore(RowStore):
    """Fingerprints ``[rows, dim]`` in float16."""

    def __init__(self, path: Path, dim: int, rows: int, *, writable: bool) -> None:
        """Open ``path``; see :class:`RowStore`."""
        super().__init__(path, dim, "<f2", rows, writable=writable)

    @property
    def dim(self) -> int:
        """Numbers in a fingerprint."""
        return self.width

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The vectors ``[..., dim]`` in float32 of row numbers ``[...]``."""
        return np.asarray(self._mapped()[rows], np.float32)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of the vectors of ``rows [c, n]`` with ``queries [n, dim]``."""
        from grafprint.library import half_products

        products = np.empty(rows.shape, np.float32)
        half_products.row_products(self._halves(), rows, _scale(queries), products)
        return products

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of inner products of a query with the rows at each of many candidate places.

        ``places [3, c]``: the row that meets the query's first segment, and the first row and row
        count of the track. ``queries [n, dim]`` are segments at ``positions [n]``; those that meet
        no row of the track are left out. Returns the sums, float64 [c], and the number of segments
        in each, int64 [c].
        """
        from grafprint.library import half_products

        places, scaled = np.ascontiguousarray(places, np.int64), _scale(queries)
        sums, counts = np.empty(places.shape[1]), np.empty(places.shape[1], np.int64)
        half_products.candidate_sums(self._halves(), places, positions, scaled, sums, counts)
        return sums, counts

    def read_range(self, first: int, end: int) -> np.ndarray:
        """Rows ``first`` to ``end`` (exclusive), float32 ``[end - first, dim]``."""
        return np.asarray(self._mapped()[first:end], np.float32)

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """Start reading the rows ``firsts [c]`` to ``ends [c]`` (exclusive) that are not in memory.

        Otherwise the first access to each page waits for the disk, and the system reads much more
        around it than is needed. If a few sampled ranges are in memory, all are assumed to be:
        asking for thousands takes longer than using them.
        """
        mapped = self._mapped()
        advise = getattr(mmap, "MADV_WILLNEED", None)  # not on every system
        if advise is None or not len(firsts) or mapped.nbytes <= _KEPT_BYTES:
            return
        order = np.argsort(firsts)
        firsts, ends = firsts[order], np.maximum.accumulate(ends[order])
        apart = np.flatnonzero(firsts[1:] > ends[:-1] + _GAP) + 1
        begins = firsts[np.concatenate([[0], apart])] * self._row_bytes
        stops = ends[np.concatenate([apart - 1, [-1]])] * self._row_bytes
        if self._in_memory(begins[:: -(-len(begins) // _PROBES)].tolist()):
            return
        begins -= begins % mmap.PAGESIZE
        for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True):
            mapped._mmap.madvise(advise, begin, stop - begin)  # type: ignore[attr-defined]

    def _in_memory(self, places: list[int]) -> bool:
        """Whether the bytes at ``places`` are in memory; False if the system cannot tell."""
        flag = getattr(os, "RWF_NOWAIT", None)  # Linux
        if flag is None:
            return False
        try:
            with self.path.open("rb", buffering=0) as file:
                for place in places:
                    os.preadv(file.fileno(), [bytearray(1)], place, flag)
        except OSError:  # it would have to wait, or the file system cannot tell
            return False
        return True

    def _halves(self) -> np.ndarray:
        """The rows as the bits of their float16 numbers: int16 [rows, dim]."""
        return self._mapped().view(np.int16)


def _scale(queries: np.ndarray) -> np.ndarray:
    """Queries in float32, scaled for the functions of half_products.py."""
    from grafprint.library import half_products

    return np.ascontiguousarray(queries, np.float32) * half_products.HALF_SCALE
