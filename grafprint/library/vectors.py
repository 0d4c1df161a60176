"""Fingerprints on disk: an append-only file of float16 rows, memory-mapped for reading."""

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
# Only larger files are prefetched: smaller ones are assumed to stay in memory.
_KEPT_BYTES = 1 << 28
_GAP = 64  # ranges at most this many rows apart are read as one
_PROBES = 16  # ranges that are checked to tell whether all are in memory

REPAIR = "restore it from a copy, or save what is left with `grafprint library repair`"


class VectorStore:
    """Rows ``[rows, dim]`` in little-endian float16, without a header.

    The number of valid rows is stored elsewhere (in the library's catalogue). Anything beyond them
    is left from an unfinished write: it is never read, and is overwritten or cut off.
    """

    def __init__(self, path: Path, dim: int, rows: int, *, writable: bool) -> None:
        """Open ``path``, whose first ``rows`` rows are valid.

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
                # Unbuffered, so that a failed write leaves nothing to be written later.
                self._file = path.open("r+b", buffering=0)
                self._file.truncate(needed)
        self._mapped()  # so that a reader keeps its rows when the file is replaced

    @property
    def pending(self) -> int:
        """Number of rows appended but not committed."""
        return self._end - self.rows

    @property
    def pending_crc32(self) -> int:
        """Checksum of the bytes of the pending rows."""
        return self._crc32

    def append(self, vectors: np.ndarray) -> None:
        """Append ``vectors [n, dim]``. Raises LibraryError if they cannot be written."""
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
        """Wait until all appended rows are on the disk. Raises LibraryError if that fails."""
        assert self._file is not None
        with writing(self.path):
            os.fsync(self._file.fileno())

    def commit(self) -> None:
        """Make the appended rows valid; the caller has recorded them."""
        self.rows, self._map, self._crc32 = self._end, None, 0

    def rollback(self) -> None:
        """Drop the appended rows; the next ones overwrite them."""
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

    def copy_range(self, first: int, end: int, target: VectorStore) -> None:
        """Append rows ``first`` to ``end`` to another store, bit for bit."""
        for begin in range(first, end, _STEP):
            target.append(self._mapped()[begin : min(end, begin + _STEP)])

    def trim(self) -> None:
        """Cut off rows that were not committed."""
        assert self._file is not None
        with writing(self.path):
            self._file.truncate(self.rows * self._row_bytes)
        self._end, self._crc32 = self.rows, 0

    def close(self) -> None:
        """Close the file."""
        self._map = None
        if self._file is not None:
            self._file.close()
            self._file = None

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


def _scale(queries: np.ndarray) -> np.ndarray:
    """Queries in float32, scaled for the functions of half_products.py."""
    from grafprint.library import half_products

    return np.ascontiguousarray(queries, np.float32) * half_products.HALF_SCALE
