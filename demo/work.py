"""Long tasks: one of a kind at a time on the server, with a progress bar and a Stop button."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from html import escape


@dataclass
class Stop:
    """A visitor's request to stop; one per visit, in a ``gr.State``, changed in place."""

    wanted: bool = False

    def halt(self) -> str:
        """Request the stop; returns what to show until the task has stopped."""
        self.wanted = True
        return bar("Stopping after the current step", 0)


@dataclass(frozen=True)
class Turn:
    """Lets one visitor at a time run a task of one kind: ``with turn.lock``."""

    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, stop: Stop) -> str:
        """Clear an earlier request to stop; returns what to show until the task starts."""
        stop.wanted = False
        if self.lock.locked():
            return bar("Another visitor's task is running; yours starts after it", 0)
        return bar("Starting", 0)


def bar(words: str, share: float) -> str:
    """A progress bar with a text; ``share`` in 0..1."""
    return (
        f'<div class="gp-work" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * share:.0f}" aria-label="{escape(words)}">{escape(words)}'
        f'<div class="bar"><div style="width: {100 * share:.1f}%"></div></div></div>'
    )
