"""Long work of a visitor: one at a time on the server, with a bar, and stopped by a button."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from html import escape


@dataclass
class Stop:
    """Whether a visitor wants the work to end; one a visit, in a ``gr.State``, changed in place."""

    wanted: bool = False

    def halt(self) -> str:
        """Wish for the end; what to say until it comes."""
        self.wanted = True
        return bar("Stopping as soon as what is at hand is done", 0)


@dataclass(frozen=True)
class Turn:
    """The right to do work of one kind, which one visitor at a time has: ``with turn.taken``."""

    taken: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, stop: Stop) -> str:
        """Forget an earlier wish to stop; what to say while the work has not begun."""
        stop.wanted = False
        if self.taken.locked():
            return bar("Somebody else's work of this kind is under way; yours begins after it", 0)
        return bar("Beginning", 0)


def bar(words: str, share: float) -> str:
    """A progress bar, ``share`` in 0..1, and what is being done."""
    return (
        f'<div class="gp-work" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{100 * share:.0f}" aria-label="{escape(words)}">{escape(words)}'
        f'<div class="bar"><div style="width: {100 * share:.1f}%"></div></div></div>'
    )
