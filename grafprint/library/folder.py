"""The files of an open library - catalogue, fingerprints, index - kept consistent."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grafprint import files
from grafprint.audio.landmarks import FRAME_S, ROW_FRAMES
from grafprint.errors import LibraryError
from grafprint.library import records, row_store
from grafprint.library.catalogue import Catalogue
from grafprint.library.landmark_store import LandmarkStore
from grafprint.library.lock import WriterLock
from grafprint.library.records import File, Track
from grafprint.library.row_store import RowStore
from grafprint.library.rows import RowTable
from grafprint.library.vectors import VectorStore

if TYPE_CHECKING:
    from grafprint.library.index.row_index import IndexState
    from grafprint.library.index_keeper import IndexKeeper

CATALOGUE = "library.sqlite3"
INDEX = "index.faiss"
BUCKETS = "buckets.npy"
LOCK = "lock"
BACKUP = "library.backup.sqlite3"
# Up to this size (256 MB) all fingerprints are checked when a library is opened, in a fraction of a
# second; in a larger library, a track's are checked before the track is first named.
CHECKED_AT_OPENING = 1_000_000


def vectors_name(generation: int) -> str:
    """The name of the fingerprints' file; each compaction writes the next generation."""
    return f"fingerprints.{generation}.f16" if generation else "fingerprints.f16"


def landmarks_name(generation: int) -> str:
    """The name of the landmarks' file, which goes with the fingerprints of a generation."""
    return f"landmarks.{generation}.u16" if generation else "landmarks.u16"


def is_intact(track: Track, catalogue: Catalogue, vectors: VectorStore) -> bool:
    """Whether a track's fingerprints match its checksum, if that is known."""
    checksum = catalogue.checksums[track.id]
    return checksum is None or checksum == vectors.crc32(track.first, track.first + track.count)


class LibraryFolder:
    """The open files that library.py and add_file.py work on.

    ``lock`` protects the state in memory. ``adding`` is held for the whole of a change, so that all
    pending rows belong to one track.
    """

    catalogue: Catalogue
    vector_store: VectorStore
    landmark_store: LandmarkStore | None  # None: there are none, or another hop between rows

    def __init__(self, path: str | os.PathLike[str], *, writable: bool) -> None:
        """Open all files. Raises LibraryError if one is missing, damaged or cannot be written."""
        self.path = Path(path).resolve()
        self.lock = threading.RLock()
        self.adding = threading.Lock()
        self._table: RowTable | None = None
        self._writer = WriterLock(self.path / LOCK) if writable else None
        self._intact: set[int] | None = set()  # ids of the tracks checked so far; None: all
        try:
            self._load()
            self._check()
        except BaseException:
            self.release()
            raise

    @cached_property
    def index(self) -> IndexKeeper:
        """The index for searches, made at the first one: FAISS takes time to import."""
        from grafprint.library.index_keeper import IndexKeeper

        return IndexKeeper(self.path / INDEX, self.path / BUCKETS)

    @property
    def model_id(self) -> str:
        """The network whose fingerprints these are."""
        return self.catalogue.meta.model_id

    @property
    def dim(self) -> int:
        """Numbers in a fingerprint."""
        return self.catalogue.meta.dim

    @property
    def hop_s(self) -> float:
        """Seconds between the starts of consecutive fingerprints."""
        return self.catalogue.meta.hop_s

    @property
    def window_s(self) -> float:
        """Seconds of audio in one fingerprint."""
        return self.catalogue.meta.window_s

    @property
    def library_id(self) -> str:
        """The same for as long as this is the same library, wherever it is copied."""
        return self.catalogue.meta.library_id

    @property
    def location(self) -> str:
        """Where the library is, for messages."""
        return str(self.path)

    @property
    def rows(self) -> int:
        """Rows in the file of fingerprints, dead ones included."""
        return self.catalogue.meta.rows

    def check_model(self, model_id: str) -> None:
        """Raise LibraryError unless ``model_id`` is the network whose fingerprints these are."""
        network = self.catalogue.network
        records.check_model(self, model_id, network and self.located(network))

    @property
    def writable(self) -> bool:
        """Whether it is open for writing."""
        return self._writer is not None

    @contextlib.contextmanager
    def changing(self) -> Iterator[Catalogue]:
        """The catalogue, for a change that searches must see whole or not at all.

        On any error inside, even an interrupt right after SQLite's commit, everything is read again
        as SQLite has it.
        """
        with self.lock:
            try:
                yield self.catalogue
            except BaseException:
                self._recover()
                raise
            finally:
                self._table = None

    @property
    def keeps_landmarks(self) -> bool:
        """Whether landmarks can be stored; they fit fingerprints with a hop of 96 ms."""
        return self.landmark_store is not None

    def lacks_landmarks(self, track: Track) -> bool:
        """Whether landmarks can be stored for a track and have not been."""
        store, rows = self.landmark_store, np.arange(track.first, track.first + track.count)
        return store is not None and not store.filled(rows).any()

    def put_landmarks(self, track: Track, landmarks: np.ndarray) -> None:
        """Store the landmarks ``[count, 8]`` of a track that lacks them."""
        assert self.landmark_store is not None
        with self.lock:
            self.landmark_store.replace(track.first, landmarks)

    def sync_rows(self, landmarks: np.ndarray | None = None) -> None:
        """Wait until the appended rows are on the disk, with their ``landmarks [n, 8]``, if any.

        Raises LibraryError if that fails.
        """
        self.vector_store.sync()
        if self.landmark_store is not None:
            if landmarks is None:
                self.landmark_store.append_empty(self.vector_store.pending)
            else:
                self.landmark_store.append(landmarks)
            self.landmark_store.sync()

    def commit_rows(self) -> None:
        """Make the appended rows valid; the caller has recorded them."""
        self.vector_store.commit()
        if self.landmark_store is not None:
            self.landmark_store.commit()

    def rollback_rows(self) -> None:
        """Drop the appended rows."""
        self.vector_store.rollback()
        if self.landmark_store is not None:
            self.landmark_store.rollback()

    def damaged(self) -> list[Track]:
        """The tracks whose fingerprints are no longer as written; reads them all."""
        with self.lock:
            tracks = list(self.catalogue.tracks.values())
        return [track for track in tracks if not self._is_intact(track)]

    @property
    def index_remedy(self) -> str:
        """What to do about a damaged index."""
        return f"delete {self.path / INDEX}, and it will be rebuilt"

    def size_bytes(self) -> int:
        """What its files take on the disk."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())

    def index_is_damaged(self) -> bool:
        """Whether there is a saved index that is no longer as written; reads all of it."""
        from grafprint.library.index.row_index import RowIndex

        path = self.path / INDEX
        return path.is_file() and RowIndex.load(path, thorough=True) is None

    def require_intact(self, track: Track) -> None:
        """Raise LibraryError if a track's fingerprints are no longer as written."""
        if self._intact is not None and track.id not in self._intact:
            if not self._is_intact(track):
                raise self._damage([track])
            self._intact.add(track.id)

    def _is_intact(self, track: Track) -> bool:
        return is_intact(track, self.catalogue, self.vector_store)

    def _check(self) -> None:
        """Check what is checked at opening; store the missing checksums of a format 1 library."""
        catalogue = self.catalogue
        missing = [t for t in catalogue.tracks.values() if catalogue.checksums[t.id] is None]
        if self.writable and missing:
            catalogue.put_checksums(
                {t.id: self.vector_store.crc32(t.first, t.first + t.count) for t in missing}
            )
        if catalogue.meta.rows <= CHECKED_AT_OPENING:
            if damaged := self.damaged():
                raise self._damage(damaged)
            self._intact = None

    def _damage(self, tracks: list[Track]) -> LibraryError:
        others = f" and {len(tracks) - 1} more" if len(tracks) > 1 else ""
        return LibraryError(
            f"{self._vectors_path} is damaged: the fingerprints of {tracks[0].title!r}{others} "
            f"are not what was stored; {row_store.REPAIR}"
        )

    def located(self, path: str) -> Path:
        """The place of a path as stored: relative ones start at the library."""
        return Path(os.path.normpath(self.path / path))

    @property
    def base(self) -> Path:
        """The folder to which stored paths are relative if they are near it."""
        return self.path

    def files_below(self, folder: Path) -> list[File]:
        """The library's files below an absolute folder, or the file of that path."""
        files = self.catalogue.files.values()
        return [file for file in files if self.located(file.path).is_relative_to(folder)]

    def table(self) -> RowTable:
        """Which rows belong to which track."""
        with self.lock:
            if self._table is None:
                self._table = RowTable(self.catalogue.tracks.values())
            return self._table

    def index_state(self) -> IndexState:
        """The state that an up-to-date index has."""
        from grafprint.library.index.row_index import IndexState, choose_factory

        meta = self.catalogue.meta
        factory = meta.factory or choose_factory(self.table().total)
        return IndexState(meta.library_id, meta.generation, meta.rows, meta.removals, factory)

    def drop_dead_rows(self) -> None:
        """Copy the live rows to files of the next generation, and let SQLite's commit switch."""
        table, generation = self.table(), self.catalogue.meta.generation + 1
        new_path = self.path / vectors_name(generation)
        landmarks_path = self.path / landmarks_name(generation)
        with files.writing(new_path):
            new_path.write_bytes(b"")
            landmarks_path.write_bytes(b"")
        new = VectorStore(new_path, self.dim, 0, writable=True)
        stores: dict[RowStore, RowStore] = {self.vector_store: new}
        new_landmarks = None
        if self.landmark_store is not None:
            new_landmarks = LandmarkStore(landmarks_path, 0, writable=True)
            stores[self.landmark_store] = new_landmarks
        firsts: dict[int, int] = {}
        try:
            for track, first, count in zip(table.ids, table.firsts, table.counts, strict=True):
                firsts[int(track)] = new.pending
                for old, copy in stores.items():
                    old.copy_range(int(first), int(first + count), copy)
            for copy in stores.values():
                copy.sync()
            files.sync_folder(self.path)
        except BaseException:
            for copy in stores.values():
                copy.close()
            new_path.unlink(missing_ok=True)
            landmarks_path.unlink(missing_ok=True)
            raise
        # From here on the new files may be the valid ones. If this fails, all are kept, and whoever
        # opens the library for writing next deletes the others.
        with self.changing() as catalogue:
            catalogue.renumber(firsts, new.pending)
            for store in stores.values():
                store.commit()
            self.vector_store, self.landmark_store = new, new_landmarks
        for store in stores:
            store.close()
            with contextlib.suppress(OSError):  # a reader may hold it open (Windows)
                store.path.unlink()

    def release(self) -> None:
        """Let go of all files."""
        with self.lock:
            if hasattr(self, "vector_store"):
                self.vector_store.close()
            if (landmarks := getattr(self, "landmark_store", None)) is not None:
                landmarks.close()
            if hasattr(self, "catalogue"):
                self.catalogue.close()
            if self._writer is not None:
                self._writer.release()
                self._writer = None

    def _load(self) -> None:
        for attempts_left in (2, 1, 0):
            self.catalogue = Catalogue(self.path / CATALOGUE, writable=self.writable)
            try:
                self._open_vectors()
                break
            except FileNotFoundError:
                self.catalogue.close()
                if attempts_left:  # a writer may have compacted it since the catalogue was read
                    continue
                raise LibraryError(
                    f"the library {self.path} lacks {self._vectors_path.name}: copy the whole "
                    "folder, or index the music again into a new library"
                ) from None
        if self.writable:  # delete what an interrupted compaction left
            now = (self._vectors_path.name, landmarks_name(self.catalogue.meta.generation))
            for path in (*self.path.glob("fingerprints*.f16"), *self.path.glob("landmarks*.u16")):
                if path.name not in now:
                    with contextlib.suppress(OSError):
                        path.unlink()

    def _open_vectors(self) -> None:
        meta = self.catalogue.meta
        self.vector_store = VectorStore(
            self._vectors_path, meta.dim, meta.rows, writable=self.writable
        )
        self.landmark_store = None
        if math.isclose(meta.hop_s, ROW_FRAMES * FRAME_S):
            with contextlib.suppress(FileNotFoundError):
                self.landmark_store = LandmarkStore(
                    self.path / landmarks_name(meta.generation), meta.rows, writable=self.writable
                )

    def _recover(self) -> None:
        try:
            self.catalogue.read()
            self.vector_store.close()
            if self.landmark_store is not None:
                self.landmark_store.close()
            self._open_vectors()
        except (LibraryError, OSError):  # opening it again will report why
            self.release()

    @property
    def _vectors_path(self) -> Path:
        return self.path / vectors_name(self.catalogue.meta.generation)
