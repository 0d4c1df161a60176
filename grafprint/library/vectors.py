"""Fingerprints on disk: a file of float16 rows that only grows, mapped into memory for reading."""

from __future__ import annotations

import mmap
import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from grafprint.errors import LibraryError
from grafprint.files import writing

_STEP = 1 << 16  # rows handled at once
# A larger file does not stay in memory for long: see prefetch.
_KEPT_BYTES = 1 << 28
_GAP = 64  # rows between two that are needed, and still worth reading with them
_LOOKED_AT = 16  # stretches, to tell whether all are in memory

REPAIR = "restore it from a copy, or save what is left with `grafprint library repair`"


class VectorStore:
    """Rows ``[rows, dim]`` in little-endian float16, without a header.

    How many rows count is known elsewhere (the library's catalogue). What lies beyond them comes
    from a write that did not finish: it is never read, and overwritten or cut off.
    """

    def __init__(self, path: Path, dim: int, rows: int, *, writable: bool) -> None:
        """Open ``path``, of which the first ``rows`` rows count.

        Raises FileNotFoundError if it does not exist, LibraryError if it is too short or cannot
        be written.
        """
        self.path, self.dim, self.rows = path, dim, rows
        self._row_bytes = 2 * dim
        self._end = rows
        self._crc32 = 0
        self._file: BinaryIO | None = None
        self._map: np.ndarray | None = None
        size, needed = path.stat().st_size, rows * self._row_bytes
        if size < needed:
            raise LibraryError(f"{path} is damaged: it has {size} bytes of {needed}; {REPAIR}")
        if writable:
            with writing(path):
                # Unbuffered: after a failed write nothing may wait to be written later.
                self._file = path.open("r+b", buffering=0)
                self._file.truncate(needed)
        self._mapped()  # so that a reader keeps its rows when the file is replaced

    @property
    def pending(self) -> int:
        """Rows that were appended and not committed."""
        return self._end - self.rows

    @property
    def pending_crc32(self) -> int:
        """Checksum of the bytes of the pending rows."""
        return self._crc32

    def append(self, vectors: np.ndarray) -> None:
        """Write ``vectors [n, dim]`` behind the last row. Raises LibraryError if it cannot."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise ValueError(f"fingerprints must be [n, {self.dim}], not {vectors.shape}")
        assert self._file is not None
        data = memoryview(np.ascontiguousarray(vectors, "<f2").tobytes())
        checksum = zlib.crc32(data, self._crc32)
        with writing(self.path):
            self._file.seek(self._end * self._row_bytes)
            while data:
                data = data[self._file.write(data) :]
        self._end, self._crc32 = self._end + len(vectors), checksum

    def sync(self) -> None:
        """Wait until all that was appended is on the disk. Raises LibraryError if it fails."""
        assert self._file is not None
        with writing(self.path):
            os.fsync(self._file.fileno())

    def commit(self) -> None:
        """Count what was appended (the caller has recorded it)."""
        self.rows, self._map, self._crc32 = self._end, None, 0

    def rollback(self) -> None:
        """Forget what was appended; the next rows are written over it."""
        self._end, self._crc32 = self.rows, 0

    def crc32(self, first: int, end: int) -> int:
        """Checksum of the bytes of rows ``first`` to ``end`` (exclusive)."""
        checksum = 0
        for begin in range(first, end, _STEP):
            rows = self._mapped()[begin : min(end, begin + _STEP)]
            checksum = zlib.crc32(rows.data, checksum)
        return checksum

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The vectors ``[..., dim]`` in float32 of row numbers ``[...]``."""
        return np.asarray(self._mapped()[rows], np.float32)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of the vectors of ``rows [c, n]`` with ``queries [n, dim]``."""
        from grafprint.library import half_products

        products = np.empty(rows.shape, np.float32)
        half_products.row_products(self._halves(), rows, _scaled(queries), products)
        return products

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of inner products of a query with the rows from each of many places on.

        ``places [3, c]``: the row that the query's first segment would meet, and the first row and
        number of rows that count. ``queries [n, dim]`` are segments at ``positions [n]``. Returns
        sums, float64 [c], and over how many segments, int64 [c].
        """
        from grafprint.library import half_products

        sums, counts = np.empty(places.shape[1]), np.empty(places.shape[1], np.int64)
        places = np.ascontiguousarray(places, np.int64)
        half_products.candidate_sums(
            self._halves(), places, positions, _scaled(queries), sums, counts
        )  # fmt: skip
        return sums, counts

    def read_range(self, first: int, end: int) -> np.ndarray:
        """Rows ``first`` to ``end`` (exclusive), float32 ``[end - first, dim]``."""
        return np.asarray(self._mapped()[first:end], np.float32)

    def copy_range(self, first: int, end: int, target: VectorStore) -> None:
        """Append rows ``first`` to ``end`` to another store, bit for bit."""
        for begin in range(first, end, _STEP):
            target.append(self._mapped()[begin : min(end, begin + _STEP)])

    def trim(self) -> None:
        """Cut off what was not committed."""
        assert self._file is not None
        with writing(self.path):
            self._file.truncate(self.rows * self._row_bytes)
        self._end, self._crc32 = self.rows, 0

    def close(self) -> None:
        """Let go of the file."""
        self._map = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """Have the disk read what of rows ``firsts [c]`` to ``ends [c]`` is not in memory, at once.

        Without that each page is waited for when its turn comes, and the system reads much around
        it that is of no use. Where a few places are in memory all are taken to be: to ask for
        thousands takes longer than to use them.
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
        if self._in_memory(begins[:: -(-len(begins) // _LOOKED_AT)].tolist()):
            return
        begins -= begins % mmap.PAGESIZE
        for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True):
            mapped._mmap.madvise(advise, begin, stop - begin)  # type: ignore[attr-defined]

    def _in_memory(self, places: list[int]) -> bool:
        """Whether the bytes at these places need not be read from the disk, if the system tells."""
        flag = getattr(os, "RWF_NOWAIT", None)  # Linux
        if flag is None:
            return False
        try:
            with self.path.open("rb", buffering=0) as file:
                for place in places:
                    os.preadv(file.fileno(), [bytearray(1)], place, flag)
        except OSError:  # it would have to wait, or its file system cannot tell
            return False
        return True

    def _halves(self) -> np.ndarray:
        """The rows as the bits of their numbers."""
        return self._mapped().view(np.int16)

    def _mapped(self) -> np.ndarray:
        if self._map is None:
            shape = (self.rows, self.dim)
            # An empty file cannot be mapped.
            self._map = (
                np.memmap(self.path, "<f2", "r", shape=shape)
                if self.rows
                else np.empty(shape, np.float16)
            )
        return self._map


def _scaled(queries: np.ndarray) -> np.ndarray:
    """Queries as the loops over stored rows want them."""
    from grafprint.library import half_products

    return np.ascontiguousarray(queries, np.float32) * half_products.HALF_SCALE
