"""The libraries of a studio: facts about them, and the changes that visitors may make."""

from __future__ import annotations

import contextlib
import filecmp
import re
import shutil
import unicodedata
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo.studio import Studio
from grafprint.audio import folders
from grafprint.library import Library, LibraryError, Track
from grafprint.library.add_folder import IndexReport, IndexStep, add_files

MUSIC = "music"  # the folder in a library for files that visitors have uploaded
HOW_TO_ALLOW = (
    "This page can only read libraries. To allow changes, start the app with "
    "`python app.py --edit`."
)
_NAME = re.compile(r"[^\W_][\w -]{0,59}")
_AUDIO_ERROR = re.compile(r"^cannot (?:index|read) .*?: (?=\w)", re.DOTALL)


class ShelfError(ValueError):
    """A change that cannot be made; the message is for the visitor and contains no path."""


def facts(studio: Studio, name: str) -> dict[str, Any]:
    """Facts about a library, for JSON; sizes in MB (10^6 bytes) do not include the music.

    ``mb_per_hour`` is None for an empty library. Raises LibraryError as ``Studio.identifier`` does.
    """
    library = studio.identifier(name).library
    tracks = library.tracks()
    hours = sum(track.duration_s for track in tracks) / 3600
    size_mb = library.size_bytes() / 1e6
    licences: dict[str, int] = {}
    for track in tracks:
        licences[track.licence] = licences.get(track.licence, 0) + 1
    return {
        "name": studio.called(name),
        "tracks": len(tracks),
        "hours": hours,
        "fingerprints": len(library),
        "hop_s": library.hop_s,
        "size_mb": size_mb,
        "mb_per_hour": size_mb / hours if hours else None,
        "index": library.index_state().factory,
        "network": library.model_id,
        "licences": dict(sorted(licences.items(), key=lambda item: -item[1])),
        "editable": not why_not(studio, name),
    }


def listed(studio: Studio, name: str, search: str) -> list[dict[str, Any]]:
    """The tracks with every word of ``search``, for JSON; without the paths of their files.

    Raises LibraryError as ``Studio.identifier`` does.
    """
    hidden = {"path", "first", "count"}
    tracks = studio.identifier(name).library.tracks(search)
    return [{k: v for k, v in asdict(track).items() if k not in hidden} for track in tracks]


def why_not(studio: Studio, name: str) -> str:
    """Why a library may not be changed, for the visitor; empty if it may be."""
    if not studio.editable:
        return HOW_TO_ALLOW
    if studio.called(name) == studio.home_name:
        return (
            f"The library “{name}”, with which the app was started, cannot be changed. To add "
            "music, create a new library or choose another one above."
        )
    return ""


def create(studio: Studio, name: str) -> str:
    """Create an empty library; returns its name as stored. Raises ShelfError or LibraryError."""
    if not studio.editable:
        raise ShelfError(HOW_TO_ALLOW)
    if studio.shelf is None:
        raise ShelfError(
            "There is no folder for new libraries: start the app with --libraries FOLDER."
        )
    name = unicodedata.normalize("NFC", name).strip()
    if not _NAME.fullmatch(name):
        raise ShelfError(
            "A name has up to 60 letters, digits, spaces, - or _, and begins with a letter or "
            "digit."
        )
    taken = [known.casefold() for known in (*studio.names(), studio.home.name)]
    if (studio.shelf / name).exists() or name.casefold() in taken:
        raise ShelfError(f"There is already a library “{name}”: choose another name.")
    with _hide_path(studio.shelf / name, name):
        Library.create(studio.shelf / name, studio.fingerprinter).close()
    return name


def add_uploads(studio: Studio, name: str, uploads: list[Path]) -> Generator[IndexStep, None, None]:
    """Store uploaded files in a library's folder and add them; see ``add_files``.

    Files that cannot be used, or were not reached before the iterator was closed, are deleted.
    Raises ShelfError or LibraryError.
    """
    with _writable(studio, name) as library:
        copies: list[Path] = []
        report = IndexReport()
        try:
            files = [_keep(upload, library.path / MUSIC, copies) for upload in uploads]
            for step in add_files(library, files, studio.fingerprinter, readmit=True):
                report = step.report
                yield step
        finally:
            used = {*report.added, *report.updated, *report.unchanged, *report.duplicates}
            for file in copies:
                if str(file) not in used:
                    file.unlink(missing_ok=True)


def add_folder(studio: Studio, name: str, folder: str) -> Generator[IndexStep, None, None]:
    """Add all audio files below a folder of the server, without copying them; see ``add_files``.

    Raises ShelfError or LibraryError.
    """
    with _writable(studio, name) as library:
        if not folder.strip():
            raise ShelfError("Type the path of a folder with music.")
        unreadable: list[folders.Failure] = []
        files = folders.audio_files(Path(folder.strip()).expanduser(), unreadable)
        yield from add_files(library, files, studio.fingerprinter, failed=unreadable)


def remove(studio: Studio, name: str, track_id: int) -> Track:
    """Remove a track from a library, not its file. Raises ShelfError or LibraryError."""
    with _writable(studio, name) as library:
        return library.remove(track_id)


def reason(failure: folders.Failure) -> str:
    """Why a file was not added, without its path."""
    text = _AUDIO_ERROR.sub("", failure.reason)
    return text.replace(failure.path, Path(failure.path).name)


@contextlib.contextmanager
def _writable(studio: Studio, name: str) -> Iterator[Library]:
    """A library open for writing; afterwards the studio reopens it."""
    path = studio.place(name)
    if refusal := why_not(studio, name):
        raise ShelfError(refusal)
    assert isinstance(path, Path)  # only those on the shelf can be changed
    with _hide_path(path, name):
        library = Library.open(path, model_id=studio.fingerprinter.model_id, writable=True)
        try:
            yield library
        finally:
            try:
                library.close()
            finally:
                studio.reload(name)


@contextlib.contextmanager
def _hide_path(path: Path, name: str) -> Iterator[None]:
    """Turn errors into ShelfErrors that contain the library's name instead of its path."""
    try:
        yield
    except LibraryError as error:
        text = str(error)
        for place in (path.resolve(), path):
            text = text.replace(str(place), f"“{name}”")
        raise ShelfError(text) from error
    except OSError as error:
        raise ShelfError(f"The library “{name}” cannot be changed: {error.strerror}.") from error


def _keep(upload: Path, folder: Path, copies: list[Path]) -> Path:
    """Copy a file to a folder under its own name, with a number if that is taken.

    If an identical file is already there, its path is returned; a new copy is appended to
    ``copies``.
    """
    folder.mkdir(exist_ok=True)
    number, target = 1, folder / upload.name
    while target.exists():
        if filecmp.cmp(upload, target, shallow=False):
            return target
        number += 1
        target = folder / f"{upload.stem} ({number}){upload.suffix}"
    copies.append(target)
    shutil.copyfile(upload, target)
    return target
