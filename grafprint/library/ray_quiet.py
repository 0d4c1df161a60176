"""Keep Ray's own messages out of standard output, which may be JSON for a program."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any, cast

_log = logging.getLogger(__name__)


class _Filter:
    """A stream to which only the thread that made it writes; what others print becomes a log."""

    def __init__(self, stream: Any, *, closed: bool) -> None:
        self._stream, self._own = stream, None if closed else threading.get_ident()

    def write(self, text: str) -> int:
        """Write, or log."""
        if threading.get_ident() == self._own:
            self._stream.write(text)
        elif text.strip():
            _log.info("%s", text.strip())
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def quiet(*, closed: bool = False) -> Iterator[None]:
    """Log what other threads print, as Ray's do when a node is lost; ``closed``: this one, too."""
    stream = cast(Any, _Filter(sys.stdout, closed=closed))
    with contextlib.redirect_stdout(stream):
        yield
