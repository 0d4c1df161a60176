"""What the tabs share: on the server the network and the libraries, in a visit the clip."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from demo.identifier import Identifier
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, LibraryError
from grafprint.library.folder import CATALOGUE

# How events run that only change what is shown: without a queue, and not for programs.
AT_ONCE: dict[str, Any] = {
    "queue": False, "show_progress": "hidden", "api_visibility": "private"
}  # fmt: skip
# Two clips at a time, however they come; more of them wait their turn.
BUSY: dict[str, Any] = {"concurrency_id": "identify", "concurrency_limit": 2}
# A visit's clip is forgotten an hour after it was last changed.
FORGET_S = 3600


@dataclass
class Studio:
    """The network and the libraries made with it: opened once, used by every visitor.

    ``home`` is the library a visit begins with, ``shelf`` a folder whose subfolders are further
    libraries (and where new ones are made). ``noise`` and ``rooms`` are folders of recorded ones,
    None for those that are made by the program. ``editable``: whether visitors may change
    libraries on the shelf.
    """

    fingerprinter: Fingerprinter
    home: Path
    shelf: Path | None = None
    examples: Path | None = None
    noise: Path | None = None
    rooms: Path | None = None
    editable: bool = False
    _open: dict[str, Identifier] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def load(cls, home: Path, model: Path, **options: object) -> Studio:
        """Load the network and the first library.

        Raises LibraryError or CheckpointError, with the reason.
        """
        studio = cls(Fingerprinter.load(model), home, **options)  # type: ignore[arg-type]
        studio.identifier(studio.names()[0])
        return studio

    def names(self) -> list[str]:
        """The libraries by name, the one to begin with first."""
        names = [self.home.name]
        if self.shelf is not None and self.shelf.is_dir():
            found = sorted(path.parent.name for path in self.shelf.glob(f"*/{CATALOGUE}"))
            names += [name for name in found if name not in names]
        return names

    def path(self, name: str) -> Path:
        """The folder of a library by its name. Raises LibraryError for a name there is not."""
        if name not in self.names():
            raise LibraryError(f"there is no library {name!r} here")
        if name == self.home.name:
            return self.home
        assert self.shelf is not None  # else names() has only the one
        return self.shelf / name

    def identifier(self, name: str | None = None) -> Identifier:
        """A library, open for reading, with the network.

        Raises LibraryError if there is none of that name or it cannot be used.
        """
        name = name or self.home.name
        with self._lock:
            if name not in self._open:
                library = Library.open(self.path(name), model_id=self.fingerprinter.model_id)
                self._open[name] = Identifier(library, self.fingerprinter)
            return self._open[name]

    def reload(self, name: str) -> None:
        """Open a library anew at its next use, because it has changed.

        Whoever is still reading the old state goes on with it.
        """
        with self._lock:
            self._open.pop(name, None)


@dataclass(frozen=True)
class Visit:
    """What a visitor has at hand, the same on every tab; each is one ``gr.State``.

    ``clip`` holds the Clip to look at (or None), ``heard`` what has become of it on the tab
    Degrade (or None), ``library`` the name of the library in use. ``changes`` counts the visitor's
    changes to libraries, for what shows one at all times.
    """

    clip: gr.State
    heard: gr.State
    library: gr.State
    changes: gr.State

    @classmethod
    def begin(cls, studio: Studio) -> Visit:
        """The states of a new visit."""
        return cls(
            clip=gr.State(None, time_to_live=FORGET_S),
            heard=gr.State(None, time_to_live=FORGET_S),
            library=gr.State(studio.names()[0]),
            changes=gr.State(0),
        )
