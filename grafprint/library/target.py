"""What adding audio files asks of a library, wherever that is: in a folder or on a server."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from grafprint.audio.metadata import Tags
    from grafprint.library.labels import Labels
    from grafprint.library.records import File, Recording, Track


class Contents(Protocol):
    """Which contents of files need not be fingerprinted."""

    def with_content(self, content_hash: str) -> object:
        """The track with the given content, if any; what is false otherwise."""
        ...

    def keeps_out(self, content_hash: str) -> bool:
        """Whether a file of this content was removed to stay out."""
        ...


class Outline(Protocol):
    """What fingerprinting a file asks of a library."""

    @property
    def catalogue(self) -> Contents: ...

    @property
    def dim(self) -> int: ...

    @property
    def window_s(self) -> float: ...

    @property
    def keeps_landmarks(self) -> bool:
        """Whether landmarks can be stored; they fit fingerprints with a hop of 96 ms."""
        ...


class Records(Contents, Protocol):
    """The tracks of a library and their files; each change is made whole or not at all."""

    @property
    def network(self) -> str | None:
        """The path of the network's file, as stored."""
        ...

    def file(self, path: str) -> File | None:
        """What is stored about a file; None if there is none of that path."""
        ...

    def track(self, track_id: int) -> Track:
        """The track with this id, which must exist.

        Raises NoTrackError, as the changes of a track do, if another program has removed it.
        """
        ...

    def with_content(self, content_hash: str) -> Track | None:
        """The track with the given content, if any."""
        ...

    def content_hashes(self) -> list[str]:
        """The content of each track."""
        ...

    def paths_of(self, track: int) -> list[str]:
        """The files of a track, in the order they were added."""
        ...

    def is_kept_out(self, path: str) -> bool:
        """Whether the file of this path was removed to stay out."""
        ...

    def has_details(self, track: int) -> bool:
        """Whether all texts of a track are stored; older versions read fewer tags."""
        ...

    def put(self, recording: Recording, file: File, replaces: int | None) -> Track:
        """Store a new recording, whose rows are pending, and its file (``track`` is ignored).

        ``replaces`` is the track that the file held before its content changed: it gets the new
        content and keeps its id, unless another file holds it too.
        """
        ...

    def put_file(self, file: File) -> None:
        """Store that ``file`` holds its ``track``; drop its former track if that has no other."""
        ...

    def put_tags(self, track: Track, tags: Tags) -> Track:
        """Replace the texts of a track; returns it."""
        ...

    def put_labels(self, track: Track, labels: Labels) -> None:
        """Store what a track sounds like, instead of what was stored before."""
        ...

    def put_network(self, path: str) -> None:
        """Remember where the file of the network is."""
        ...

    def keep_out(self, files: dict[str, str]) -> None:
        """Remember files, as paths and content, that are not to be added again."""
        ...

    def let_in(self, path: str, content_hash: str) -> None:
        """Forget that a file, and others of the same content, are to be kept out."""
        ...

    def remove_files(self, paths: Iterable[str]) -> list[Track]:
        """Remove files, and the tracks left without a file; returns these tracks."""
        ...


class PendingRows(Protocol):
    """Takes the fingerprints of the track that is being added."""

    @property
    def pending(self) -> int:
        """Number of rows appended but not committed."""
        ...

    @property
    def pending_crc32(self) -> int:
        """Checksum of the bytes of the pending rows."""
        ...

    def append(self, rows: np.ndarray) -> None:
        """Append ``rows [n, dim]``. Raises LibraryError if they cannot be written."""
        ...


class Target(Outline, Protocol):
    """A library that files are added to, one track at a time."""

    @property
    def adding(self) -> AbstractContextManager[object]:
        """Held for the whole of a change, so that all pending rows belong to one track."""
        ...

    @property
    def catalogue(self) -> Records: ...

    @property
    def vector_store(self) -> PendingRows: ...

    @property
    def base(self) -> Path | None:
        """The folder that stored paths are relative to if they are near; None: none is."""
        ...

    def require_writable(self) -> None:
        """Raise LibraryError unless it is open for writing."""
        ...

    def check_model(self, model_id: str) -> None:
        """Raise LibraryError unless ``model_id`` is the network whose fingerprints these are."""
        ...

    def changing(self) -> AbstractContextManager[Records]:
        """The catalogue, for a change that searches must see whole or not at all."""
        ...

    def located(self, path: str) -> Path:
        """The place of a path as stored."""
        ...

    def tracks(self) -> list[Track]:
        """All tracks."""
        ...

    def files_below(self, folder: Path) -> list[File]:
        """The library's files below an absolute folder, or the file of that path."""
        ...

    def lacks_landmarks(self, track: Track) -> bool:
        """Whether landmarks can be stored for a track and have not been."""
        ...

    def put_landmarks(self, track: Track, landmarks: np.ndarray) -> None:
        """Store the landmarks ``[count, 8]`` of a track that lacks them."""
        ...

    def sync_rows(self, landmarks: np.ndarray | None = None) -> None:
        """Wait until the pending rows are safe, with their ``landmarks [n, 8]``, if any.

        Raises LibraryError if that fails.
        """
        ...

    def commit_rows(self) -> None:
        """Make the pending rows valid; the caller has recorded them."""
        ...

    def rollback_rows(self) -> None:
        """Drop the pending rows."""
        ...
