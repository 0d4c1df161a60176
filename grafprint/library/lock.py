"""One writer at a time: a locked file, which the system unlocks when its program ends or dies."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from grafprint.errors import LibraryError
from grafprint.files import writing

# Enough to try again where the last holder has deleted the file between our opening and locking it.
_TIMEOUT_S, _POLL_S = 0.1, 0.02


class WriterLock:
    """The right to write to a library, held from construction until :meth:`release`."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises LibraryError if another program (or object) has it."""
        from filelock import FileLock, Timeout  # readers start without it

        self._path = path
        self._lock = FileLock(
            path,
            _TIMEOUT_S,
            poll_interval=_POLL_S,
            thread_local=False,  # a library may be closed by another thread
            fallback_to_soft=False,  # a lock that could outlive its program
            on_acquired=_write_process_id,
        )
        with writing(path):
            try:
                self._lock.acquire()
            except Timeout:
                owner = _read_process_id(path)
                raise LibraryError(
                    f"the library {path.parent} is being written to by another program"
                    f"{f' (process {owner})' if owner else ''}: wait until that is done, or end it"
                ) from None

    def release(self) -> None:
        """Give the right to write back."""
        if self._lock.is_locked:
            with suppress(OSError):  # Windows does not delete open files; there FileLock does
                self._path.unlink()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def _write_process_id(descriptor: int) -> None:
    # Behind the first byte, which Windows locks against reading too.
    with suppress(OSError):  # on a full disk the lock goes without the number
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f" {os.getpid()}\n".encode())


def _read_process_id(path: Path) -> str:
    """The process id in a lock file, or an empty string."""
    with suppress(OSError), path.open("rb", buffering=0) as file:
        file.seek(1)
        return file.read(20).decode("ascii", "replace").strip()
    return ""
