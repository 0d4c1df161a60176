"""Bring an audio file into a library."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from grafprint import audio
from grafprint.audio import metadata
from grafprint.library.folder import LibraryFolder
from grafprint.library.records import File, Recording, Track

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

FileStamp = tuple[int, int]
Status = Literal["added", "updated", "unchanged", "duplicate"]


@dataclass(frozen=True)
class AddResult:
    """What became of a file. ``duplicate``: a bit-exact copy of a file that ``track`` has."""

    status: Status
    track: Track


@dataclass(frozen=True, eq=False)
class FileFingerprints:
    """The fingerprints ``[n, dim]`` of a file, not all of them silent, and its length.

    Of a file whose :func:`file_stamp` is not this one any more they are not used.
    """

    vectors: np.ndarray
    duration_s: float
    stamp: FileStamp | None = None


def add_file(
    library: LibraryFolder,
    file: Path,
    fingerprinter: Fingerprinter,
    heard: Callable[[float], None] | None = None,
    prepared: FileFingerprints | None = None,
) -> AddResult:
    """See ``Library.add``; ``heard(seconds)`` is told how much audio was fingerprinted so far.

    ``prepared`` are the file's fingerprints if they were computed before, by the same network.
    """
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    with library.adding:
        catalogue, stored = library.catalogue, _stored_path(library.path, file)
        before = file_stamp(file)
        known = catalogue.files.get(stored)
        if known and (known.size, known.mtime_ns) == before:
            return AddResult("unchanged", catalogue.tracks[known.track])
        content_hash = _content_hash(file)
        same = catalogue.with_content(content_hash)
        entry = File(stored, same.id if same else 0, *before)
        if same:  # touched, moved or copied
            with library.changing():
                catalogue.put_file(entry)
            unchanged = known is not None and known.track == same.id
            return AddResult("unchanged" if unchanged else "duplicate", catalogue.tracks[same.id])
        vectors = library.vector_store
        try:
            if prepared and prepared.stamp in (None, before):
                duration_s = prepared.duration_s
                vectors.append(prepared.vectors)
            else:
                duration_s = _fingerprint(
                    CountedAudio(file, heard), library.window_s, fingerprinter, vectors.append
                )
            if file_stamp(file) != before:
                raise _error(file, "it changed while it was read; run again when it is complete")
            recording = Recording(
                content_hash,
                duration_s,
                metadata.read(file),
                vectors.pending,
                vectors.pending_crc32,
            )
            vectors.sync()
        except BaseException:
            vectors.rollback()
            raise
        with library.changing():
            track = catalogue.put(recording, entry, known.track if known else None)
            vectors.commit()
        return AddResult("updated" if known else "added", track)


def is_unchanged(library: LibraryFolder, file: Path) -> bool:
    """Whether a file is what the library knows, by its stamp alone. Raises AudioError."""
    known = library.catalogue.files.get(_stored_path(library.path, file))
    return known is not None and (known.size, known.mtime_ns) == file_stamp(file)


def fingerprint_file(
    library: LibraryFolder, file: Path, fingerprinter: Fingerprinter, heard: Callable[[float], None]
) -> FileFingerprints | None:
    """The fingerprints for :func:`add_file`, which then only stores them; None of a copy.

    ``heard`` is as for :func:`add_file`, and may raise to end this. Raises AudioError.
    """
    now = file_stamp(file)
    if library.catalogue.with_content(_content_hash(file)):
        return None
    parts: list[np.ndarray] = []
    duration_s = _fingerprint(
        CountedAudio(file, heard), library.window_s, fingerprinter, parts.append
    )
    return FileFingerprints(np.concatenate(parts), duration_s, now)


def _fingerprint(
    counted: CountedAudio,
    window_s: float,
    fingerprinter: Fingerprinter,
    append: Callable[[np.ndarray], None],
) -> float:
    """Fingerprint a file, part by part; returns its length in seconds."""
    sounding = False
    try:
        for vectors in fingerprinter.stream(counted):
            sounding = sounding or bool(vectors.any())
            append(vectors)
    except ValueError:
        # Too short is reported below, with the file's name and length.
        if not 0 < counted.duration_s < window_s:
            raise
    duration_s = counted.duration_s
    if duration_s < window_s:
        reason = f"it is {duration_s:.2f} s long; at least {window_s:g} s is needed"
        raise _error(counted.file, reason)
    if not sounding:
        raise _error(counted.file, "it is silent from beginning to end")
    return duration_s


class CountedAudio:
    """The samples of a file in chunks, and how long those are that were taken."""

    def __init__(self, file: Path, heard: Callable[[float], None] | None = None) -> None:
        self.file, self._heard, self._samples = file, heard, 0

    @property
    def duration_s(self) -> float:
        """Seconds of audio so far."""
        return self._samples / audio.SAMPLE_RATE

    def __iter__(self) -> Iterator[np.ndarray]:
        for chunk in audio.stream(self.file):
            self._samples += len(chunk)
            yield chunk
            if self._heard:
                self._heard(self.duration_s)


def _stored_path(library: Path, file: Path) -> str:
    """How to remember where a file is; see ``Library.add``."""
    path = real(file)
    if library.parent in path.parents:
        stored = Path(os.path.relpath(path, library)).as_posix()
    else:
        stored = str(path)
    try:
        stored.encode()
    except UnicodeEncodeError:
        raise _error(file, "its name is not valid text; rename it") from None
    return stored


def real(path: Path) -> Path:
    """The absolute path, with links resolved in the folders but not in the name itself."""
    return Path(os.path.realpath(path.parent), path.name) if path.name else path.resolve()


def file_stamp(file: Path) -> FileStamp:
    """A file's size and time of change. Raises AudioError if it cannot be reached."""
    try:
        stat = file.stat()
    except OSError as failure:
        raise _error(file, f"{failure.strerror}; check the name and the permissions") from failure
    return stat.st_size, stat.st_mtime_ns


def _content_hash(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as failure:
        raise _error(file, f"{failure.strerror}; check the permissions") from failure


def _error(file: Path, reason: str) -> audio.AudioError:
    return audio.AudioError(f"cannot index {shown(file)!r}: {reason}")


def shown(file: Path) -> str:
    """A path that can be printed, whatever bytes are in its name."""
    return os.fsencode(file).decode("utf-8", "replace")
