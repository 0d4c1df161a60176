"""How a library is closed, wherever it is: finished if it was written to, then released."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class _Open(Protocol):
    """A library, as far as closing it is concerned."""

    @property
    def writable(self) -> bool: ...
    def finish(self) -> None: ...
    def release(self) -> None: ...
    def close(self) -> None: ...


class FinishedOnClose:
    """A context manager that closes a library."""

    def close(self: _Open) -> None:
        """Finish if it is open for writing, and let go of files or connections.

        Raises LibraryError if finishing fails, as where the disk is full; the tracks are safe even
        then.
        """
        try:
            if self.writable:
                self.finish()
        finally:
            self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self: _Open,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:  # an error in finishing would hide this one; the next writer finishes
            self.release()
