"""The fingerprints of the track that is being added, until they are on the server."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from grafprint.errors import LibraryError
from grafprint.files import write_error
from grafprint.remote.schema import LONGEST, PART_ROWS

_IN_MEMORY = 1 << 25  # bytes; longer ones go to a temporary file


class PendingRows:
    """Fingerprints ``[n, dim]`` in float16, kept so that they can be sent more than once."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.pending, self.pending_crc32, self.sounding = 0, 0, 0
        self.landmarks: np.ndarray | None = None
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def append(self, rows: np.ndarray) -> None:
        """Append ``rows [n, dim]``. Raises LibraryError if there are too many, or no space."""
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"rows must be [n, {self.dim}], not {rows.shape}")
        if self.pending + len(rows) > LONGEST - PART_ROWS:
            raise LibraryError(
                f"a recording of more than {LONGEST - PART_ROWS:,} fingerprints does not fit into "
                "a library on a server: cut it in two"
            )
        halves = np.ascontiguousarray(rows, "<f2")
        data = halves.tobytes()
        try:
            self._file.seek(0, 2)
            self._file.write(data)
        except OSError as error:
            raise write_error(Path(tempfile.gettempdir()), error) from error
        self.pending += len(rows)
        self.pending_crc32 = zlib.crc32(data, self.pending_crc32)
        self.sounding += int(halves.any(axis=1).sum())

    def parts(self) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """The first row (from 0) of each part, its fingerprints and, if known, its landmarks."""
        self._file.seek(0)
        for first in range(0, self.pending, PART_ROWS):
            data = self._file.read(2 * self.dim * min(PART_ROWS, self.pending - first))
            rows = np.frombuffer(data, "<f2").reshape(-1, self.dim)
            known = self.landmarks
            yield first, rows, None if known is None else known[first : first + len(rows)]

    def clear(self) -> None:
        """Forget all rows."""
        self.pending, self.pending_crc32, self.sounding = 0, 0, 0
        self.landmarks = None
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """Delete the temporary file."""
        self._file.close()
