"""Find audio files in folders: one rule for hidden files, links and unreadable folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grafprint import audio
from grafprint.errors import LibraryError


class Failure(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


def audio_files(folder: Path, failed: list[Failure]) -> list[Path]:
    """All audio files that :func:`walk` finds, sorted; or ``folder`` itself if it is a file.

    Unreadable folders are added to ``failed``. Raises LibraryError if there is no such folder.
    """
    if not folder.exists():
        raise LibraryError(f"there is no folder or file {folder}: name one that holds music")
    if not folder.is_dir():
        return [folder]
    return sorted(f for f in walk(folder, failed) if f.suffix.lower() in audio.AUDIO_SUFFIXES)


def walk(folder: Path, failed: list[Failure]) -> Iterator[Path]:
    """Every file below ``folder`` that is not hidden, nor in a hidden folder.

    Links are followed, but each folder is read once only. Unreadable folders are added to
    ``failed``.
    """

    def note_unreadable(error: OSError) -> None:
        failed.append(Failure(str(error.filename), f"cannot read it: {error.strerror}"))

    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, onerror=note_unreadable, followlinks=True):
        entered = []
        for name in sorted(folders):
            target = os.path.realpath(os.path.join(place, name))
            if not name.startswith(".") and target not in seen:
                seen.add(target)
                entered.append(name)
        folders[:] = entered
        yield from (Path(place, name) for name in names if not name.startswith("."))
