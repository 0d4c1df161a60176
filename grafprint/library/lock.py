"""One writer at a time: a locked file, which the system unlocks when its program ends or dies."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from grafprint.errors import LibraryError
from grafprint.files import writing


class WriterLock:
    """The right to write to a library, held from construction until :meth:`release`."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises LibraryError if another program (or object) has it."""
        self._path = path
        self._file: BinaryIO | None = None
        while self._file is None:
            with writing(path):
                file = path.open("a+b")
            try:
                _lock(file)
            except OSError:
                file.seek(0)
                owner = file.read(20).decode("ascii", "replace").strip()
                file.close()
                raise LibraryError(
                    f"the library {path.parent} is being written to by another program"
                    f"{f' (process {owner})' if owner else ''}: wait until that is done, or end it"
                ) from None
            if _is_at(file, path):
                self._file = file
            else:  # its last holder deleted it between our opening and our locking
                file.close()
        with suppress(OSError):  # on a full disk the lock goes without the number
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
            self._file.flush()

    def release(self) -> None:
        """Give the right to write back."""
        if self._file is not None:
            with suppress(OSError):  # Windows does not delete open files: then it stays
                self._path.unlink()
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _lock(file: BinaryIO) -> None:
    """Lock an open file without waiting; raises OSError if it is locked."""
    if sys.platform == "win32":
        import msvcrt

        # A byte far behind the text: Windows locks bytes against reading too.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether ``path`` still names this open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
