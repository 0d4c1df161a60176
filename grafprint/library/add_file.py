"""Add an audio file to a library."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from grafprint import audio, bundled
from grafprint.audio import metadata
from grafprint.audio.landmarks import LandmarkStream
from grafprint.errors import NoTrackError
from grafprint.library.records import File, Recording, Track
from grafprint.library.target import Outline, Target

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

FileStamp = tuple[int, int]
Status = Literal["added", "updated", "unchanged", "duplicate"]


@dataclass(frozen=True)
class AddResult:
    """The result for one file. ``duplicate``: a bit-exact copy of a file of ``track``."""

    status: Status
    track: Track


class KeptOut(Exception):
    """The file, or one of the same content, was removed from the library to stay out."""


@dataclass(frozen=True, eq=False)
class FileFingerprints:
    """The fingerprints ``[n, dim]`` of a file, not all of them silent, and its length in seconds.

    ``vectors`` is empty where the library already has a file of the same ``content_hash`` (SHA-256;
    None: not computed). All of this holds while the file's :func:`file_stamp` is ``stamp``; with
    None it is not checked. ``landmarks [n, 8]`` are those of audio/landmarks.py, or None.
    """

    vectors: np.ndarray
    duration_s: float
    stamp: FileStamp | None = None
    content_hash: str | None = None
    landmarks: np.ndarray | None = None


def add_file(
    library: Target,
    file: Path,
    fingerprinter: Fingerprinter,
    progress: Callable[[float], None] | None = None,
    prepared: FileFingerprints | None = None,
    root: Path | None = None,
    *,
    readmit: bool = True,
) -> AddResult:
    """See ``Library.add``; ``progress(seconds)`` gets how much audio is fingerprinted so far.

    Raises KeptOut, unless ``readmit``, for a file that was removed to stay out.

    ``prepared`` are the file's fingerprints if the same network has computed them before. They are
    not used if the file has changed since. ``root`` is the folder that is being added; see
    :func:`grafprint.audio.metadata.read`.
    """
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    with library.adding:
        _remember_network(library, fingerprinter)
        while True:
            try:
                return _add(library, file, fingerprinter, progress, prepared, root, readmit)
            except NoTrackError:  # another program has removed what was found: look again
                continue


def _add(
    library: Target,
    file: Path,
    fingerprinter: Fingerprinter,
    progress: Callable[[float], None] | None,
    prepared: FileFingerprints | None,
    root: Path | None,
    readmit: bool,
) -> AddResult:
    """Add a file to a library that is locked. Raises NoTrackError if another program interferes."""
    catalogue, stored = library.catalogue, stored_path(library.base, file)
    before = file_stamp(file)
    known = catalogue.file(stored)
    if known and (known.size, known.mtime_ns) == before:
        track = catalogue.track(known.track)
        if track.path == stored and not catalogue.has_details(track.id):
            # Of an older version, which read fewer tags.
            with library.changing():
                track = catalogue.put_tags(track, metadata.read(file, root))
        _add_missing_landmarks(library, file, track, progress)
        return AddResult("unchanged", track)
    if not readmit and catalogue.is_kept_out(stored):
        raise KeptOut
    if prepared and prepared.stamp not in (None, before):
        prepared = None
    content_hash = (prepared and prepared.content_hash) or _content_hash(file)
    if readmit:
        with library.changing():
            catalogue.let_in(stored, content_hash)
    elif catalogue.keeps_out(content_hash):  # it was renamed or copied
        with library.changing():
            catalogue.keep_out({stored: content_hash})
        raise KeptOut
    same = catalogue.with_content(content_hash)
    entry = File(stored, same.id if same else 0, *before)
    if same:  # touched, moved or copied
        with library.changing():
            catalogue.put_file(entry)
            if same.path != stored and not library.located(same.path).exists():
                # Moved or renamed: what came from the names follows them.
                catalogue.put_tags(same, metadata.read(file, root))
        _add_missing_landmarks(library, file, same, progress)
        unchanged = known is not None and known.track == same.id
        return AddResult("unchanged" if unchanged else "duplicate", catalogue.track(same.id))
    vectors = library.vector_store
    try:
        if prepared and len(prepared.vectors):
            duration_s, found = prepared.duration_s, prepared.landmarks
            vectors.append(prepared.vectors)
        else:
            counted = CountedAudio(file, progress, landmarks=library.keeps_landmarks)
            duration_s = _fingerprint(counted, library.window_s, fingerprinter, vectors.append)
            found = counted.landmarks(vectors.pending)
        if file_stamp(file) != before:
            raise _error(file, "it changed while it was read; run again when it is complete")
        recording = Recording(
            content_hash,
            duration_s,
            metadata.read(file, root),
            vectors.pending,
            vectors.pending_crc32,
        )
        library.sync_rows(found)
    except BaseException:
        library.rollback_rows()
        raise
    with library.changing():
        track = catalogue.put(recording, entry, known.track if known else None)
        library.commit_rows()
    return AddResult("updated" if known else "added", track)


def is_settled(library: Target, file: Path) -> bool:
    """Whether a file needs no reading: it is kept out, or unchanged by its stamp.

    Raises AudioError.
    """
    stored = stored_path(library.base, file)
    known = library.catalogue.file(stored)
    if known is not None and (known.size, known.mtime_ns) == file_stamp(file):
        return True
    return library.catalogue.is_kept_out(stored)


def _remember_network(library: Target, fingerprinter: Fingerprinter) -> None:
    """Note where the network's file is, to find it when the library is opened.

    Not of the bundled network, which every installation has, nor of one that only builds libraries.
    """
    file = fingerprinter.file
    if (
        file is None
        or fingerprinter.imitates
        or real(file).parent == real(bundled.asset("x")).parent
    ):
        return
    stored = stored_path(library.base, file)
    if stored != library.catalogue.network:
        with library.changing() as catalogue:
            catalogue.put_network(stored)


def fingerprint_file(
    library: Outline,
    file: Path,
    fingerprinter: Fingerprinter,
    progress: Callable[[float], None],
) -> FileFingerprints:
    """Hash and fingerprint a file ahead of :func:`add_file`, which then only stores the result.

    ``progress`` is as for :func:`add_file`, and may raise to stop. Raises AudioError.
    """
    stamp, content_hash = file_stamp(file), _content_hash(file)
    catalogue = library.catalogue
    if catalogue.with_content(content_hash) or catalogue.keeps_out(content_hash):
        return FileFingerprints(np.empty((0, library.dim)), 0.0, stamp, content_hash)
    parts: list[np.ndarray] = []
    counted = CountedAudio(file, progress, landmarks=library.keeps_landmarks)
    duration_s = _fingerprint(counted, library.window_s, fingerprinter, parts.append)
    vectors = np.concatenate(parts)
    landmarks = counted.landmarks(len(vectors))
    return FileFingerprints(vectors, duration_s, stamp, content_hash, landmarks)


def _add_missing_landmarks(
    library: Target, file: Path, track: Track, progress: Callable[[float], None] | None
) -> None:
    """Find the landmarks of a track that an older version added."""
    if not library.lacks_landmarks(track):
        return
    counted = CountedAudio(file, progress, landmarks=True)
    for _ in counted:
        pass
    found = counted.landmarks(track.count)
    assert found is not None
    library.put_landmarks(track, found)


def _fingerprint(
    counted: CountedAudio,
    window_s: float,
    fingerprinter: Fingerprinter,
    append: Callable[[np.ndarray], None],
) -> float:
    """Pass a file's fingerprints to ``append``, part by part; returns its length in seconds."""
    silent = True
    try:
        for vectors in fingerprinter.stream(counted):
            silent = silent and not vectors.any()
            append(vectors)
    except ValueError:
        # A file that is too short is reported below, with its name and length.
        if not 0 < counted.duration_s < window_s:
            raise
    duration_s = counted.duration_s
    if duration_s < window_s:
        reason = f"it is {duration_s:.2f} s long; at least {window_s:g} s is needed"
        raise _error(counted.file, reason)
    if silent:
        raise _error(counted.file, "it is silent from beginning to end")
    return duration_s


class CountedAudio:
    """The samples of a file in chunks; counts the seconds taken so far, and finds landmarks."""

    def __init__(
        self,
        file: Path,
        progress: Callable[[float], None] | None = None,
        *,
        landmarks: bool = False,
    ) -> None:
        self.file, self._progress, self._samples = file, progress, 0
        self._landmarks = LandmarkStream() if landmarks else None

    @property
    def duration_s(self) -> float:
        """Seconds of audio so far."""
        return self._samples / audio.SAMPLE_RATE

    def landmarks(self, rows: int) -> np.ndarray | None:
        """The landmarks ``[rows, 8]`` of all audio taken; None if they were not asked for."""
        return None if self._landmarks is None else self._landmarks.finish(rows)

    def __iter__(self) -> Iterator[np.ndarray]:
        for chunk in audio.stream(self.file):
            self._samples += len(chunk)
            yield chunk
            if self._landmarks is not None:
                self._landmarks.push(chunk)
            if self._progress:
                self._progress(self.duration_s)


def stored_path(library: Path | None, file: Path) -> str:
    """The path under which a library stores a file; see ``Library.add``."""
    path = real(file)
    if library is not None and library.parent in path.parents:
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
    """A file's size and modification time (ns). Raises AudioError if it cannot be reached."""
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
    """A path as printable text, whatever bytes its name has."""
    return os.fsencode(file).decode("utf-8", "replace")
