"""A collection of fingerprinted recordings in a folder: open, search, add, remove, compact.

The folder holds ``library.sqlite3`` (tracks, their files, and which network made the
fingerprints), ``fingerprints.f16`` (see vectors.py), ``landmarks.u16`` beside them (see
landmark_store.py), a copy of the database for repair.py and, once the library is large enough to
need one, ``index.faiss``, which is derived and rebuilt whenever it does not fit. The folder can be
copied to any machine. A track exists once SQLite has committed it: its rows are on the disk before,
and the next write cuts off what an interrupted one left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grafprint import files
from grafprint.errors import LibraryError, NoTrackError
from grafprint.library import catalogue_file, records
from grafprint.library.folder import BACKUP, BUCKETS, CATALOGUE, LOCK, LibraryFolder, vectors_name
from grafprint.library.lock import WriterLock
from grafprint.library.records import Network, Totals, Track, new_meta
from grafprint.library.rows import RowTable
from grafprint.library.writing import Writing

if TYPE_CHECKING:
    from grafprint.library.index.tuning import Tuning

__all__ = ["Library", "LibraryError", "Track"]

COMPACT_ABOVE = 0.3  # share of dead rows at which the end of a write compacts


class Library(Writing, LibraryFolder):
    """An open library; a context manager that closes it.

    Any number of programs may read a library while one writes. A reader sees the library as it was
    when opened. Methods may be called from several threads: additions run one after the other, and
    searches meanwhile see the tracks committed so far.
    """

    nprobe: int | None = None
    _has_them: RowTable | None = None  # the table of tracks most of which have landmarks

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        model_id: str | None = None,
        writable: bool = False,
        nprobe: int | None = None,
    ) -> Library:
        """Open an existing library, for reading unless ``writable``.

        ``model_id``: only if its fingerprints are by that network. ``nprobe`` is how many inverted
        lists an approximate search probes (no effect on an exact one); if None, as many as were
        found to be enough (index_tuning.py).

        Raises LibraryError if there is no library, it is damaged or of a newer format, another
        network made it, or another program is writing to it (``writable``).
        """
        path = Path(path)
        if not (path / CATALOGUE).is_file():
            raise LibraryError(
                f"there is no library in {path}: make one with `grafprint index`, or name another"
            )
        library = cls(path, writable=writable)
        library.nprobe = nprobe
        try:
            if model_id is not None:
                library.check_model(model_id)
        except LibraryError:
            library.release()
            raise
        return library

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        network: Network,
        *,
        factory: str | None = None,
        buckets: np.ndarray | None = None,
    ) -> Library:
        """Create an empty library for the fingerprints of ``network`` (a Fingerprinter), writable.

        ``factory`` is a FAISS factory string such as ``IVF1024,PQ32`` or ``HNSW32``; without one
        the index is chosen by size (``row_index.choose_factory``). An index that needs training is
        exact until there is enough to train on. ``buckets [K, dim]`` are the centroids for a
        ``factory`` with K inverted lists, instead of k-means: random directions
        (``row_index.hyperplane_buckets``) or those that a network has learned.

        Raises LibraryError if the folder already has a library or cannot be written, ValueError for
        a factory string that FAISS does not understand.
        """
        path = Path(path)
        if factory is not None:
            from grafprint.library.index import row_index

            row_index.check_factory(factory, network.dim)
        with files.writing(path):
            path.mkdir(parents=True, exist_ok=True)
        with WriterLock(path / LOCK):
            if (path / CATALOGUE).exists():
                raise LibraryError(
                    f"there is a library in {path} already: open it, or name another folder"
                )
            with files.writing(path):
                (path / vectors_name(0)).write_bytes(b"")
                if buckets is not None:
                    np.save(path / BUCKETS, np.asarray(buckets, np.float32))
            # The last step: from here on there is a library.
            catalogue_file.create(
                path / CATALOGUE,
                new_meta(network.model_id, network.dim, network.hop_s, network.window_s, factory),
            )
        return cls(path, writable=True)

    # What is in it ------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of fingerprints of all tracks."""
        return self.table().total

    def __bool__(self) -> bool:
        """True, also when empty."""
        return True

    def tracks(self, search: str | None = None) -> list[Track]:
        """All tracks in the order they were added, or those that contain every word of ``search``.

        Searches title, artist, album and path, ignoring case.
        """
        with self.lock:
            tracks = list(self.catalogue.tracks.values())
        words = (search or "").casefold().split()
        if not words:
            return tracks
        return [
            track
            for track in tracks
            if all(
                word in f"{track.title} {track.artist} {track.album} {track.path}".casefold()
                for word in words
            )
        ]

    def track(self, track_id: int) -> Track:
        """The track with this id. Raises NoTrackError if there is none."""
        with self.lock:
            try:
                return self.catalogue.tracks[track_id]
            except KeyError:
                raise NoTrackError(f"{self.path} has no track number {track_id}") from None

    def audio_path(self, track: Track) -> Path | None:
        """The track's audio file, for playing it; None if none of its files exists any more."""
        with self.lock:
            paths = [self.located(path) for path in self.catalogue.paths_of(track.id)]
        return next((path for path in paths if path.is_file()), None)

    def labels_of(self, track: Track) -> dict[str, float]:
        """What a track sounds like: the probability of each label, the likeliest first.

        Empty if it has not been tagged (tagging.py), or is silent to a tagger.
        """
        with self.lock:
            found = self.catalogue.labels.get(track.id)
        return found.probabilities if found else {}

    def tagger_of(self, track: Track) -> str | None:
        """The id of the tagger that found a track's labels; None if it has not been tagged."""
        with self.lock:
            found = self.catalogue.labels.get(track.id)
        return found.tagger if found else None

    @property
    def has_labels(self) -> bool:
        """Whether any track has been tagged."""
        with self.lock:
            return bool(self.catalogue.labels)

    def totals(self) -> Totals:
        """How many tracks there are, how long, and how many of them have been tagged."""
        with self.lock:
            tracks, labels = self.catalogue.tracks, self.catalogue.labels
            return Totals(len(tracks), sum(t.duration_s for t in tracks.values()), len(labels))

    def check_query(self, network: Network) -> None:
        """Raise LibraryError unless clips fingerprinted by ``network`` can be identified here."""
        self.check_model(network.model_id)
        records.check_query(self, network)

    # Searching ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold off changes by other threads, so that row numbers stay valid."""
        with self.lock:
            yield

    def search(self, queries: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` nearest fingerprints of ``queries [m, dim]`` by inner product, best first.

        If ``k`` is None, as many as it takes to identify a clip whose segments these are: an
        approximate index searches more thoroughly for the segments of a short clip.

        Returns inner products and row numbers, both ``[m, k]``, without silent fingerprints (zero
        vectors) and removed tracks. If there are fewer than ``k``, the rest has row -1 and product
        -inf.
        """
        with self.lock:
            current = self.index.current(self.index_state(), self.table(), self.vector_store)
            return current.search(queries, k or current.neighbours(len(queries)), self.nprobe)

    @property
    def exact(self) -> bool:
        """Whether searches compare with every fingerprint."""
        from grafprint.library.index import row_index

        return self.index_state().factory == row_index.EXACT

    @property
    def tuning(self) -> Tuning | None:
        """The nprobe and k of searches, known after the first one; None if the index is exact."""
        return self.index.tuning

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The stored fingerprints ``[..., dim]`` (float32) of row numbers ``[...]``."""
        return self.vector_store.read(rows)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of the stored rows ``[c, n]`` with ``queries [n, dim]``."""
        return self.vector_store.products(rows, queries)

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of a query's inner products at many candidate places; see vectors.py."""
        return self.vector_store.score_sums(places, positions, queries)

    @property
    def has_landmarks(self) -> bool:
        """Whether most tracks have landmarks, by a look at the middle of up to a thousand.

        Those that an older version added have none until their files are indexed again.
        """
        with self.lock:
            table = self.table()
            if self.landmark_store is None or not table.total:
                return False
            if table is not self._has_them:
                middles = table.firsts + table.counts // 2
                some = middles[:: -(-len(middles) // 1000)]
                if self.landmark_store.filled(some).mean() <= 0.5:
                    return False
                self._has_them = table
            return True

    def tracks_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The first row and the row count of each track: int64 [tracks], in order of rows."""
        table = self.table()
        return table.firsts, table.counts

    def prefetch_landmarks(self, firsts: np.ndarray) -> None:
        """Do nothing: the file is mapped."""

    def landmarks(self, first: int, end: int) -> np.ndarray:
        """The landmarks, uint16 [end - first, 8], of rows ``first`` to ``end`` (exclusive)."""
        assert self.landmark_store is not None
        return self.landmark_store.range(first, end)

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """Start reading rows ``firsts [c]`` to ``ends [c]`` (exclusive) from the disk."""
        self.vector_store.prefetch(firsts, ends)

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For row numbers ``[...]``: track id, first row and row count of the track they belong to.

        Three int64 arrays ``[...]``; -1, -1, 0 for rows of no track.
        """
        return self.table().spans(rows)

    def track_of(self, rows: np.ndarray) -> np.ndarray:
        """The ids (int64) of the tracks to which row numbers ``[...]`` belong, -1 where none."""
        return self.spans(rows)[0]

    # Changing -----------------------------------------------------------------------------------

    def compact(self) -> int:
        """Free the space of removed and replaced tracks; returns the number of rows freed.

        Atomic: the live rows are copied to a new file, which is valid once SQLite has committed.
        Raises LibraryError if the disk is full (for a moment both files exist).
        """
        self.require_writable()
        with self.adding, self.lock:
            dead = self.rows - len(self)
            if dead:
                self.drop_dead_rows()
            return dead

    def finish(self) -> None:
        """End a write: compact if many rows are dead, save the index, back up the catalogue."""
        self.require_writable()
        if self.rows - len(self) > COMPACT_ABOVE * self.rows:
            self.compact()
        with self.adding, self.lock:
            self.vector_store.trim()
            if self.landmark_store is not None:
                self.landmark_store.trim()
            self.index.save(self.index_state(), self.table(), self.vector_store)
            backup = self.path / BACKUP
            if self.catalogue.changed or not backup.exists():
                self.catalogue.back_up(backup)
                self.catalogue.changed = False
