"""TODO."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from grafprint import audio
from grafprint.errors import LibraryError

if TYPE_CHECKING:
    pass


class Failure(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


def audio_files(folder: Path, failed: list[Failure]) -> list[Path]:
    """Every audio file below a folder, or the one that it is; ``failed`` gets what is unreadable.

    Raises LibraryError if there is no such folder.
    """
    if not folder.exists():
        raise LibraryError(f"there is no folder or file {folder}: name one that holds music")
    return sorted(_audio_files(folder, failed)) if folder.is_dir() else [folder]


def _audio_files(folder: Path, failed: list[Failure]) -> Iterator[Path]:
    """Every audio file below ``folder``, also behind links to folders, each folder once."""

    def unreadable(error: OSError) -> None:
        failed.append(Failure(str(error.filename), f"cannot read it: {error.strerror}"))

    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        inside = {name: os.path.realpath(os.path.join(place, name)) for name in folders}
        folders[:] = [n for n in folders if not n.startswith(".") and inside[n] not in seen]
        seen.update(inside[name] for name in folders)
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in audio.AUDIO_SUFFIXES:
                yield Path(place, name)
