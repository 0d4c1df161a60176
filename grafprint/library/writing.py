"""What is the same in every library that can be written to, wherever it is: adding and closing."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from grafprint.errors import LibraryError, NoTrackError
from grafprint.library.labels import Labels
from grafprint.library.records import Track
from grafprint.library.target import Target

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.library.add_file import AddResult
    from grafprint.library.add_folder import FingerprintAhead, IndexReport, OnProgress
    from grafprint.library.part import Part


class _Opened(Target, Protocol):
    """An open library, as far as changes are concerned."""

    @property
    def writable(self) -> bool: ...
    @property
    def location(self) -> str: ...
    def track(self, track_id: int) -> Track: ...
    def finish(self) -> None: ...
    def release(self) -> None: ...
    def close(self) -> None: ...


class Writing:
    """Changes of a library, which is a context manager that closes it."""

    def require_writable(self: _Opened) -> None:
        """Raise LibraryError unless it is open for writing."""
        if not self.writable:
            raise LibraryError(f"the library {self.location} is not open for writing")

    def add(self: _Opened, file: str | os.PathLike[str], fingerprinter: Fingerprinter) -> AddResult:
        """Fingerprint a file and store it as a track, unless the library has it already.

        A file whose size and modification time are unchanged is skipped; one whose content changed
        is fingerprinted again. A bit-exact copy of a stored file is not stored again: the track
        keeps both paths and lives until both are gone. In a folder, paths are stored relative to
        the library if the file is inside the library's parent folder, so that both can be copied
        together; all others are absolute. Memory is bounded however long the file is.

        Raises AudioError (a ValueError) if the file cannot be used: unreadable, shorter than a
        second, or silent throughout. Raises LibraryError if the library is open for reading only or
        made by another network, or the disk is full. The library is unchanged in all these cases.
        """
        from grafprint.library import add_file

        return add_file.add_file(self, Path(file), fingerprinter)

    def add_folder(
        self: _Opened,
        folder: str | os.PathLike[str],
        fingerprinter: Fingerprinter,
        progress: OnProgress | None = None,
        *,
        prune: bool = False,
        force: bool = False,
        part: Part | None = None,
        ahead: FingerprintAhead | None = None,
    ) -> IndexReport:
        """Add every audio file below ``folder`` (or a single file), skipping bad ones.

        Run again, it resumes where it was stopped. ``progress(path, done, total, audio_s)`` is
        called meanwhile with the current file, the number of files done and in all, and the
        seconds of audio fingerprinted so far. Files of the library that have vanished from the
        folder are reported, and removed if ``prune``. Hidden files are ignored. With a ``part``
        only the files of that part of the folder are looked at. ``ahead`` computes the fingerprints
        instead of the threads of this machine (``ray_cluster.RayCluster.fingerprint_ahead``).

        Raises LibraryError as :meth:`add` does, and if there is no such folder. Also where
        ``prune`` would remove more than half of the folder's tracks, which happens when a drive is
        not mounted, unless ``force``; what was found in the folder has been added then.
        """
        from grafprint.library import add_folder

        report = add_folder.add_folder(
            self, Path(folder), fingerprinter, progress,
            prune=prune, force=force, part=part, ahead=ahead,
        )  # fmt: skip
        self.finish()
        return report

    def put_labels(self: _Opened, track: Track, labels: Labels) -> None:
        """Store what a track sounds like, instead of what was stored before.

        Raises NoTrackError if there is no such track any more, or its content has changed, and
        LibraryError if the library is open for reading only.
        """
        self.require_writable()
        with self.adding, self.changing() as catalogue:
            now = self.track(track.id)
            if now.content_hash != track.content_hash:
                raise NoTrackError(f"track number {track.id} of {self.location} has new content")
            catalogue.put_labels(now, labels)

    def remove(self: _Opened, track_id: int, *, keep_out: bool = False) -> Track:
        """Remove a track and its files from the library; returns the track.

        Searches that begin afterwards do not find it, anywhere. With ``keep_out`` the files stay
        out when their folder is added again, until they are added one by one.

        Raises LibraryError if there is no such track, or the library is open for reading only.
        """
        self.require_writable()
        with self.adding, self.changing() as catalogue:
            track = self.track(track_id)
            paths = catalogue.paths_of(track_id)
            if keep_out:
                catalogue.keep_out(dict.fromkeys(paths, track.content_hash))
            catalogue.remove_files(paths)
            return track

    def close(self: _Opened) -> None:
        """Finish if it is open for writing, and let go of files or connections.

        Raises LibraryError if finishing fails, as where the disk is full; the tracks are safe even
        then.
        """
        try:
            if self.writable:
                self.finish()
        finally:
            self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self: _Opened,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:  # an error in finishing would hide this one; the next writer finishes
            self.release()
