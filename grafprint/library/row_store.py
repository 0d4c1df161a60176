"""Rows of numbers on disk: an append-only file, memory-mapped for reading."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from grafprint.errors import LibraryError
from grafprint.files import writing

_STEP = 1 << 16  # rows handled at once

REPAIR = "restore it from a copy, or save what is left with `grafprint library repair`"


class RowStore:
    """Rows ``[rows, width]`` of little-endian numbers, without a header.

    The number of valid rows is stored elsewhere (in the library's catalogue). Anything beyond them
    is left from an unfinished write: it is never read, and is overwritten or cut off.
    """

    def __init__(self, path: Path, width: int, kind: str, rows: int, *, writable: bool) -> None:
        """Open ``path``, whose first ``rows`` rows of numbers of a NumPy ``kind`` are valid.

        Raises FileNotFoundError if it does not exist, LibraryError if it is too short or cannot
        be written.
        """
        self.path, self.width, self.rows = path, width, rows
        self._kind = np.dtype(kind)
        self._row_bytes = self._kind.itemsize * width
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

    def append(self, rows: np.ndarray) -> None:
        """Append ``rows [n, width]``. Raises LibraryError if they cannot be written."""
        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(f"rows must be [n, {self.width}], not {rows.shape}")
        assert self._file is not None
        data = memoryview(np.ascontiguousarray(rows, self._kind).tobytes())
        checksum = zlib.crc32(data, self._crc32)
        with writing(self.path):
            self._file.seek(self._end * self._row_bytes)
            while data:
                data = data[self._file.write(data) :]
        self._end, self._crc32 = self._end + len(rows), checksum

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

    def copy_range(self, first: int, end: int, target: RowStore) -> None:
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

    def _mapped(self) -> np.ndarray:
        if self._map is None:
            shape = (self.rows, self.width)
            # An empty file cannot be mapped.
            self._map = (
                np.memmap(self.path, self._kind, "r", shape=shape)
                if self.rows
                else np.empty(shape, self._kind)
            )
        return self._map
