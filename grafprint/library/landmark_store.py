"""Landmarks on disk, beside the fingerprints: a row to a fingerprint."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from grafprint.audio.landmarks import EMPTY, PER_ROW
from grafprint.files import writing
from grafprint.library.row_store import RowStore

_STEP = 1 << 16  # rows handled at once


class LandmarkStore(RowStore):
    """Landmarks ``[rows, 8]`` in uint16; rows of EMPTY where a track has none.

    Nothing depends on them but how well tracks are told apart, so they have no checksum, and a file
    that is missing or too short (an older version wrote the library) is filled up.
    """

    def __init__(self, path: Path, rows: int, *, writable: bool) -> None:
        """Open ``path``, or make it if ``writable``. Raises FileNotFoundError, or LibraryError."""
        if writable:
            _fill_up(path, rows)
        elif path.stat().st_size < rows * 2 * PER_ROW:
            raise FileNotFoundError(path)
        super().__init__(path, PER_ROW, "<u2", rows, writable=writable)

    def append_empty(self, count: int) -> None:
        """Append ``count`` rows without landmarks."""
        for begin in range(0, count, _STEP):
            self.append(np.full((min(_STEP, count - begin), PER_ROW), EMPTY))

    def replace(self, first: int, rows: np.ndarray) -> None:
        """Write ``rows [n, 8]`` over those from ``first`` on, which are in use.

        Raises LibraryError if they cannot be written.
        """
        assert self._file is not None and first + len(rows) <= self.rows
        with writing(self.path):
            data = memoryview(np.ascontiguousarray(rows, "<u2").tobytes())
            self._file.seek(first * self._row_bytes)
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())

    def range(self, first: int, end: int) -> np.ndarray:
        """A view of rows ``first`` to ``end`` (exclusive): uint16 ``[end - first, 8]``."""
        return self._mapped()[first:end]

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """Whether each of the rows ``[n]`` has landmarks: bool [n]."""
        return np.asarray((self._mapped()[rows] != EMPTY).any(axis=-1))


def _fill_up(path: Path, rows: int) -> None:
    with writing(path), path.open("ab") as file:
        missing = rows - file.tell() // (2 * PER_ROW)
        if missing > 0:
            file.truncate((rows - missing) * 2 * PER_ROW)  # half a row
            for begin in range(0, missing, _STEP):
                count = min(_STEP, missing - begin)
                file.write(np.full((count, PER_ROW), EMPTY, "<u2").tobytes())
