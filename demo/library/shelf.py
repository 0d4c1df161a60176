"""The libraries of a studio: what they hold, and how visitors may change them."""

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

MUSIC = "music"  # the folder inside a library that keeps what visitors have uploaded
HOW_TO_ALLOW = (
    "This page may look at libraries, not change them: to allow that, start it with "
    "`python app.py --edit`."
)
_NAME = re.compile(r"[^\W_][\w -]{0,59}")
_AUDIO_ERROR = re.compile(r"^cannot (?:index|read) .*?: (?=\w)", re.DOTALL)


class ShelfError(ValueError):
    """A change that cannot be made; the message is for the visitor and names no path."""


def facts(studio: Studio, name: str) -> dict[str, Any]:
    """A library in numbers, JSON-able; sizes in MB (10^6 bytes) without the music itself.

    ``mb_per_hour`` is None for an empty one. Raises LibraryError as ``Studio.identifier`` does.
    """
    library = studio.identifier(name).library
    tracks = library.tracks()
    hours = sum(track.duration_s for track in tracks) / 3600
    size_mb = sum(f.stat().st_size for f in library.path.iterdir() if f.is_file()) / 1e6
    licences: dict[str, int] = {}
    for track in tracks:
        licences[track.licence] = licences.get(track.licence, 0) + 1
    return {
        "name": studio.path(name).name,
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
    """The tracks in which every word of ``search`` is, JSON-able; without where their files are.

    Raises LibraryError as ``Studio.identifier`` does.
    """
    hidden = {"path", "first", "count"}
    tracks = studio.identifier(name).library.tracks(search)
    return [{k: v for k, v in asdict(track).items() if k not in hidden} for track in tracks]


def why_not(studio: Studio, name: str) -> str:
    """Why a library may not be changed, for the visitor; empty if it may."""
    if not studio.editable:
        return HOW_TO_ALLOW
    if name == studio.home.name:
        return (
            f"The library “{name}”, with which the page was started, always stays as it is. Make "
            "a new one, or choose another above, to add music."
        )
    return ""


def create(studio: Studio, name: str) -> str:
    """Make an empty library; returns its name as stored. Raises ShelfError, LibraryError."""
    if not studio.editable:
        raise ShelfError(HOW_TO_ALLOW)
    if studio.shelf is None:
        raise ShelfError("There is no place for new libraries: start with --libraries FOLDER.")
    name = unicodedata.normalize("NFC", name).strip()
    if not _NAME.fullmatch(name):
        raise ShelfError(
            "A name has up to 60 letters, digits, spaces, - or _, and begins with a letter or "
            "a digit."
        )
    if (studio.shelf / name).exists() or name.casefold() in map(str.casefold, studio.names()):
        raise ShelfError(f"There is a library “{name}” already: choose another name.")
    with _told(studio.shelf / name, name):
        Library.create(studio.shelf / name, studio.fingerprinter).close()
    return name


def add_uploads(studio: Studio, name: str, uploads: list[Path]) -> Generator[IndexStep, None, None]:
    """Keep uploaded files beside a library and add them; see ``add_files``.

    Files that cannot be used, or were not reached before the iterator was closed, are not kept.
    Raises ShelfError, LibraryError.
    """
    with _writing(studio, name) as library:
        made: list[Path] = []
        report = IndexReport()
        try:
            files = [_keep(upload, library.path / MUSIC, made) for upload in uploads]
            for step in add_files(library, files, studio.fingerprinter):
                report = step.report
                yield step
        finally:
            used = {*report.added, *report.updated, *report.unchanged, *report.duplicates}
            for file in made:
                if str(file) not in used:
                    file.unlink(missing_ok=True)


def add_folder(studio: Studio, name: str, folder: str) -> Generator[IndexStep, None, None]:
    """Add every audio file below a folder of the server, which stay there; see ``add_files``.

    Raises ShelfError, LibraryError.
    """
    with _writing(studio, name) as library:
        if not folder.strip():
            raise ShelfError("Type the path of a folder that holds music.")
        unreadable: list[folders.Failure] = []
        files = folders.audio_files(Path(folder.strip()).expanduser(), unreadable)
        yield from add_files(library, files, studio.fingerprinter, failed=unreadable)


def remove(studio: Studio, name: str, track_id: int) -> Track:
    """Remove a track from a library; its file stays. Raises ShelfError, LibraryError."""
    with _writing(studio, name) as library:
        return library.remove(track_id)


def reason(failure: folders.Failure) -> str:
    """Why a file was left out, without naming it and the folder it is in again."""
    text = _AUDIO_ERROR.sub("", failure.reason)
    return text.replace(failure.path, Path(failure.path).name)


@contextlib.contextmanager
def _writing(studio: Studio, name: str) -> Iterator[Library]:
    """A library to be changed; afterwards the studio opens it anew."""
    path = studio.path(name)
    if refusal := why_not(studio, name):
        raise ShelfError(refusal)
    with _told(path, name):
        library = Library.open(path, model_id=studio.fingerprinter.model_id, writable=True)
        try:
            yield library
        finally:
            try:
                library.close()
            finally:
                studio.reload(name)


@contextlib.contextmanager
def _told(path: Path, name: str) -> Iterator[None]:
    """Errors within become ShelfErrors that name the library and not its place."""
    try:
        yield
    except LibraryError as error:
        text = str(error)
        for place in (path.resolve(), path):
            text = text.replace(str(place), f"“{name}”")
        raise ShelfError(text) from error
    except OSError as error:
        raise ShelfError(f"The library “{name}” cannot be changed: {error.strerror}.") from error


def _keep(upload: Path, folder: Path, made: list[Path]) -> Path:
    """A lasting copy of a file under its own name, or a numbered one where that is taken.

    A copy that is there already is used; one that is made is appended to ``made``.
    """
    folder.mkdir(exist_ok=True)
    number, target = 1, folder / upload.name
    while target.exists():
        if filecmp.cmp(upload, target, shallow=False):
            return target
        number += 1
        target = folder / f"{upload.stem} ({number}){upload.suffix}"
    made.append(target)
    shutil.copyfile(upload, target)
    return target
