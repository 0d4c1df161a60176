"""Bring audio files into a library: one file, or all of a folder with a report at the end."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from grafprint import audio, tags
from grafprint.records import File, Recording, Track
from grafprint.store import LibraryError, VectorStore

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.library import Library

Progress = Callable[[str, int, int, float], None]
Status = Literal["added", "updated", "unchanged", "duplicate"]


@dataclass(frozen=True)
class AddResult:
    """What became of a file. ``duplicate``: a bit-exact copy of a file that ``track`` has."""

    status: Status
    track: Track


class Failure(NamedTuple):
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class IndexReport:
    """What became of the files of a folder; paths as found.

    ``missing`` are files the library knows that are no longer in the folder, ``removed`` those of
    them that it has now forgotten. ``audio_s`` is the length of what was fingerprinted.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    audio_s: float = 0.0


def add_file(
    library: Library,
    file: Path,
    fingerprinter: Fingerprinter,
    heard: Callable[[float], None] | None = None,
) -> AddResult:
    """See ``Library.add``; ``heard(seconds)`` is told how much audio was fingerprinted so far."""
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    with library.adding:
        catalogue, stored = library.catalogue, _stored_path(library.path, file)
        before = _stat(file)
        known = catalogue.files.get(stored)
        if known and (known.size, known.mtime_ns) == (before.st_size, before.st_mtime_ns):
            return AddResult("unchanged", catalogue.tracks[known.track])
        content_hash = _content_hash(file)
        same = catalogue.with_content(content_hash)
        entry = File(stored, same.id if same else 0, before.st_size, before.st_mtime_ns)
        if same:  # touched, moved or copied
            with library.changing():
                catalogue.put_file(entry)
            unchanged = known is not None and known.track == same.id
            return AddResult("unchanged" if unchanged else "duplicate", catalogue.tracks[same.id])
        vectors = library.vector_store
        try:
            duration_s = _append_vectors(vectors, library.window_s, file, fingerprinter, heard)
            after = _stat(file)
            if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise _error(file, "it changed while it was read; run again when it is complete")
            recording = Recording(content_hash, duration_s, tags.read(file), vectors.pending)
            vectors.sync()
        except BaseException:
            vectors.rollback()
            raise
        with library.changing():
            track = catalogue.put(recording, entry, known.track if known else None)
            vectors.commit()
        return AddResult("updated" if known else "added", track)


def _append_vectors(
    store: VectorStore,
    window_s: float,
    file: Path,
    fingerprinter: Fingerprinter,
    heard: Callable[[float], None] | None,
) -> float:
    """Append a file's fingerprints, uncommitted; returns its length in seconds."""
    samples = 0

    def chunks() -> Iterator[np.ndarray]:
        nonlocal samples
        for chunk in audio.stream(file):
            samples += len(chunk)
            yield chunk
            if heard:
                heard(samples / audio.SAMPLE_RATE)

    sounding = False
    try:
        for vectors in fingerprinter.stream(chunks()):
            sounding = sounding or bool(vectors.any())
            store.append(vectors)
    except ValueError:
        # Too short is reported below, with the file's name and length.
        if not 0 < samples < window_s * audio.SAMPLE_RATE:
            raise
    duration_s = samples / audio.SAMPLE_RATE
    if duration_s < window_s:
        raise _error(file, f"it is {duration_s:.2f} s long; at least {window_s:g} s is needed")
    if not sounding:
        raise _error(file, "it is silent from beginning to end")
    return duration_s


def add_folder(
    library: Library,
    folder: Path,
    fingerprinter: Fingerprinter,
    progress: Progress | None,
    *,
    prune: bool,
) -> IndexReport:
    """See ``Library.add_folder``."""
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    if not folder.exists():
        raise LibraryError(f"there is no folder or file {folder}: name one that holds music")
    failed: list[Failure] = []
    files = sorted(_audio_files(folder, failed)) if folder.is_dir() else [folder]
    done: dict[Status, list[str]] = {"added": [], "updated": [], "unchanged": [], "duplicate": []}
    audio_s = 0.0

    def tell(file: Path, number: int, heard_s: float) -> None:
        if progress:
            progress(_shown(file), number, len(files), audio_s + heard_s)

    for number, file in enumerate(files):
        tell(file, number, 0.0)
        try:
            result = add_file(library, file, fingerprinter, partial(tell, file, number))
        except ValueError as error:  # AudioError among them
            failed.append(Failure(_shown(file), str(error)))
        else:
            done[result.status].append(_shown(file))
            if result.status in ("added", "updated"):
                audio_s += result.track.duration_s
        tell(file, number + 1, 0.0)
    missing = _missing(library, folder, [Path(failure.path) for failure in failed])
    if prune and missing:
        with library.adding, library.changing() as catalogue:
            catalogue.remove_files(missing)
    paths = [str(library.located(path)) for path in missing]
    return IndexReport(
        done["added"], done["updated"], done["unchanged"], done["duplicate"],
        paths, paths if prune else [], failed, audio_s,
    )  # fmt: skip


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


def _missing(library: Library, folder: Path, unreadable: list[Path]) -> list[str]:
    """Stored paths of the library's files below ``folder`` that are no longer there."""
    top = _real(folder)
    hidden = [_real(path) for path in unreadable]
    missing = []
    for stored in library.catalogue.files:
        path = library.located(stored)
        # What lies in a folder that could not be read is not known to be gone.
        known = not any(path.is_relative_to(place) for place in hidden)
        if path.is_relative_to(top) and known and not os.path.lexists(path):
            missing.append(stored)
    return missing


def _stored_path(library: Path, file: Path) -> str:
    """How to remember where a file is; see ``Library.add``."""
    path = _real(file)
    if library.parent in path.parents:
        stored = Path(os.path.relpath(path, library)).as_posix()
    else:
        stored = str(path)
    try:
        stored.encode()
    except UnicodeEncodeError:
        raise _error(file, "its name is not valid text; rename it") from None
    return stored


def _real(path: Path) -> Path:
    """The absolute path, with links resolved in the folders but not in the name itself."""
    return Path(os.path.realpath(path.parent), path.name) if path.name else path.resolve()


def _stat(file: Path) -> os.stat_result:
    try:
        return file.stat()
    except OSError as failure:
        raise _error(file, f"{failure.strerror}; check the name and the permissions") from failure


def _content_hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as failure:
        raise _error(file, f"{failure.strerror}; check the permissions") from failure


def _error(file: Path, reason: str) -> audio.AudioError:
    return audio.AudioError(f"cannot index {_shown(file)!r}: {reason}")


def _shown(file: Path) -> str:
    """A path that can be printed, whatever bytes are in its name."""
    return os.fsencode(file).decode("utf-8", "replace")
