"""What the tabs share: the network and the libraries, and the state of each visit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from demo.identifier import Identifier
from demo.sampling import Sampling
from grafprint import bundled
from grafprint.fingerprint import Fingerprinter
from grafprint.library import LibraryError
from grafprint.library.folder import CATALOGUE
from grafprint.remote.opening import Place, open_library
from grafprint.tagging import DEFAULT_TAGGER, ClipTagger

# Options of events that only change what is shown: not queued, and not part of the API.
UNQUEUED: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
# At most two clips are identified at a time, on all tabs together; others wait in the queue.
IDENTIFY_LIMIT: dict[str, Any] = {"concurrency_id": "identify", "concurrency_limit": 2}
# A visit's clip is dropped an hour after it was last changed.
FORGET_S = 3600
DEMO_MUSIC = "Demo music"  # the library that comes with the program


@dataclass
class Studio:
    """The network and the libraries made with it: opened once, shared by all visitors.

    ``home`` is the library that a visit begins with. ``shelf`` is a folder whose subfolders are
    further libraries; new ones are created there. ``noise`` and ``rooms`` are folders of recorded
    noises and room responses; None: only synthetic ones. ``editable``: whether visitors may change
    the libraries on the shelf. ``tagger`` says what clips sound like, ``sampling``
    finds samples in songs; None if there is none.
    """

    fingerprinter: Fingerprinter
    home: Place
    shelf: Path | None = None
    examples: Path | None = None
    noise: Path | None = None
    rooms: Path | None = None
    editable: bool = False
    tagger: ClipTagger | None = None
    sampling: Sampling | None = None
    _open: dict[str, Identifier] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def load(
        cls,
        home: Place,
        model: Path,
        *,
        tagger: Path | None = None,
        samples: Place | None = None,
        reranker: Path | None = None,
        **options: object,
    ) -> Studio:
        """Load the networks and the first library. Raises LibraryError or CheckpointError.

        ``tagger``: the file of a tagger; ``samples``: a library for sample identification, and
        ``reranker`` the file that goes with it. None: those that come with the program, if any.
        """
        listens = tagger or DEFAULT_TAGGER.is_file()
        options["tagger"] = ClipTagger.load(tagger) if listens else None
        options["sampling"] = Sampling.load(samples, reranker) if samples else Sampling.bundled()
        studio = cls(Fingerprinter.load(model), home, **options)  # type: ignore[arg-type]
        studio.identifier(studio.names()[0])
        return studio

    @property
    def home_name(self) -> str:
        """The name of the home library: that of its folder, unless it is the bundled one."""
        bundle = bundled.asset("library").resolve()
        own = isinstance(self.home, Path) and self.home.resolve() == bundle
        return DEMO_MUSIC if own else self.home.name

    def names(self) -> list[str]:
        """The names of the libraries, the home library first."""
        names = [self.home_name]
        if self.shelf is not None and self.shelf.is_dir():
            found = sorted(path.parent.name for path in self.shelf.glob(f"*/{CATALOGUE}"))
            names += [name for name in found if name not in names]
        return names

    def called(self, name: str) -> str:
        """The name of a library; the home library may also be called by its folder's name."""
        return self.home_name if name == self.home.name and name not in self.names() else name

    def place(self, name: str) -> Place:
        """The folder or address of a library. Raises LibraryError for an unknown name."""
        name = self.called(name)
        if name not in self.names():
            raise LibraryError(f"there is no library {name!r} here")
        if name == self.home_name:
            return self.home
        assert self.shelf is not None  # or names() would contain only the home library
        return self.shelf / name

    def path(self, name: str) -> Path:
        """The folder of a library, or of what this machine keeps of one on a server."""
        place = self.place(name)
        return place if isinstance(place, Path) else self.identifier(name).library.path

    def identifier(self, name: str | None = None) -> Identifier:
        """A library, open for reading, with the network; by default the home library.

        Raises LibraryError if there is none of that name or it cannot be used.
        """
        name = self.called(name or self.home_name)
        with self._lock:
            if name not in self._open:
                library = open_library(self.place(name), model_id=self.fingerprinter.model_id)
                self._open[name] = Identifier(library, self.fingerprinter)
            return self._open[name]

    def reload(self, name: str) -> None:
        """Reopen a library that has changed at its next use.

        Readers of the old state can finish with it.
        """
        with self._lock:
            self._open.pop(self.called(name), None)


@dataclass(frozen=True)
class Visit:
    """The state of a visit that all tabs share.

    ``clip`` holds the visitor's Clip (or None), ``degraded`` its version from the tab Degrade (or
    None), ``library`` the name of the library in use. ``changes`` counts the visitor's changes to
    libraries, so that what shows a library can be updated. ``find`` is what the page's address asks
    to show again (or None), ``recording`` the path of a file that is to be scanned (or None).
    """

    clip: gr.State
    degraded: gr.State
    library: gr.State
    changes: gr.State
    find: gr.State
    recording: gr.State

    @classmethod
    def begin(cls, studio: Studio) -> Visit:
        """The states of a new visit."""
        return cls(
            clip=gr.State(None, time_to_live=FORGET_S),
            degraded=gr.State(None, time_to_live=FORGET_S),
            library=gr.State(studio.names()[0]),
            changes=gr.State(0),
            find=gr.State(None),
            recording=gr.State(None),
        )
