"""A library on servers: the same answers and commands as one in a folder.

PostgreSQL holds the catalogue and the fingerprints; a track is there once it has committed it. What
searches them (engine.py) is derived, and made anew with ``grafprint library reindex``.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import zlib
from collections.abc import Iterator

import numpy as np

from grafprint.errors import LibraryError
from grafprint.library.records import Network, Track
from grafprint.library.writing import Writing
from grafprint.remote import schema
from grafprint.remote.address import Address
from grafprint.remote.catalogue import RemoteCatalogue
from grafprint.remote.changes import abandon_dead
from grafprint.remote.database import Connection
from grafprint.remote.engine import Engine, blocks
from grafprint.remote.exact import ExactEngine
from grafprint.remote.founding import delete_unused, make_tables
from grafprint.remote.ownership import require_own
from grafprint.remote.pending import PendingRows
from grafprint.remote.reader import RemoteReader
from grafprint.remote.storing import PendingRun

_log = logging.getLogger(__name__)
_SWEPT = 200  # runs removed from the index at once
_COUNTED = 2000  # tracks whose rows in the index are counted by `library check`


class RemoteLibrary(Writing, RemoteReader):
    """An open library on servers; a context manager that closes it.

    Any number of programs may read and write it at the same time. Each search sees it as it is when
    it begins. Methods may be called from several threads, which then wait for each other.
    """

    def __init__(self, address: Address, *, writable: bool) -> None:
        """Connect; see ``opening.open_library``."""
        super().__init__(address, writable=writable)
        self.adding = threading.Lock()
        self._own: Engine | None = None  # the one that was found to be no other database's
        self.vector_store = PendingRows(self.dim)
        self._pending = PendingRun(self.database, self.vector_store, self._present_engine)
        self.catalogue = RemoteCatalogue(self.database, self._pending.stored)

    @classmethod
    def create(cls, address: Address, network: Network) -> RemoteLibrary:
        """Make the tables of an empty library in an existing database; returns it, writable.

        Raises LibraryError if there is a library in it already, or the user may not.
        """
        make_tables(address, network)
        return cls(address, writable=True)

    def release(self) -> None:
        """Disconnect."""
        self.vector_store.close()
        super().release()

    def _present_engine(self) -> Engine:
        """What searches the library now, for a change. Raises LibraryError if it is another's."""
        self._present()
        engine = self._searcher()
        if engine is not self._own:
            require_own(self.database, engine.settings)
            self._own = engine
        return engine

    @contextlib.contextmanager
    def changing(self) -> Iterator[RemoteCatalogue]:
        """The catalogue, whose changes are transactions.

        On any error inside, the pending rows are dropped: they are not the next track's.
        """
        try:
            yield self.catalogue
        except BaseException:
            if self.vector_store.pending:
                self.rollback_rows()
            raise

    def sync_rows(self, landmarks: np.ndarray | None = None) -> None:
        """Store the pending rows on the servers, with their ``landmarks [n, 8]``, if any.

        They are no track's yet. Raises LibraryError if that fails.
        """
        self.vector_store.landmarks = landmarks if self.keeps_landmarks else None
        self._pending.stored()

    def commit_rows(self) -> None:
        """Forget the pending rows; the caller has recorded them."""
        self.vector_store.clear()
        self._pending.forget()

    def rollback_rows(self) -> None:
        """Drop the pending rows."""
        self.vector_store.clear()
        self._pending.abandon()

    def lacks_landmarks(self, track: Track) -> bool:
        """Whether landmarks can be stored for a track and have not been."""
        if not self.keeps_landmarks:
            return False
        rows = self.database.rows(
            "SELECT has_landmarks FROM grafprint.tracks WHERE id = %s", (track.id,)
        )
        return rows == [(False,)]

    def put_landmarks(self, track: Track, landmarks: np.ndarray) -> None:
        """Store the landmarks ``[count, 8]`` of a track that lacks them."""
        run = track.first >> schema.RUN_BITS

        def work(db: Connection) -> None:
            db.execute(f"UPDATE grafprint.state SET {schema.CHANGED}")
            for first in range(0, track.count, schema.PART_ROWS):
                db.execute(
                    "UPDATE grafprint.parts SET landmarks = %b WHERE id = %s",
                    (
                        landmarks[first : first + schema.PART_ROWS].astype("<u2").tobytes(),
                        (track.first + first) >> schema.PART_BITS,
                    ),
                )
            db.execute("UPDATE grafprint.tracks SET has_landmarks = true WHERE run = %s", (run,))

        self.database.change(work)
        self._landmarks.forget(run)

    def compact(self) -> int:
        """Clean up; returns 0, since the server itself frees the space of removed tracks."""
        self.require_writable()
        self.finish()
        return 0

    def finish(self) -> None:
        """Clean up after killed writers, and remove from the index what is no longer there.

        If the search server cannot be reached, a later writer does that: it only saves space.
        """
        self.require_writable()
        with self.adding:
            self.database.change(abandon_dead)
            try:
                engine = self._present_engine()
                while runs := [
                    run for (run,) in self.database.rows(
                        "SELECT run FROM grafprint.garbage ORDER BY run LIMIT %s", (_SWEPT,)
                    )
                ]:  # fmt: skip
                    engine.remove(runs)
                    self.database.change(
                        lambda db, runs=runs: db.execute(  # type: ignore[misc]
                            "DELETE FROM grafprint.garbage WHERE run = ANY(%s)", (runs,)
                        )
                    )
            except LibraryError as error:
                _log.warning("removed tracks are still in the search index: %s", error)

    def delete_if_new(self) -> None:
        """Delete the tables, unless the library has tracks or another program writes to it."""
        self.require_writable()
        delete_unused(self.database)

    # Checking -----------------------------------------------------------------------------------

    def damaged(self) -> list[Track]:
        """The tracks whose fingerprints are no longer as written; reads them all."""
        found = []
        for track_id, run, checksum in self.catalogue.checksums():
            actual = 0
            with self.locked():
                for _, vectors, _ in self.parts_of(run):
                    actual = zlib.crc32(vectors.data, actual)
                track = self.catalogue.find(track_id)
                changed = track is None or track.first != schema.first_row(run)
                if actual != checksum and track is not None and not changed:
                    found.append(track)
        return found

    def index_is_damaged(self) -> bool:
        """Whether the search server lacks some of the fingerprints.

        Compares how many it has in all, and how many of each track, or of some in large libraries:
        rows of removed tracks may make up for missing ones.
        """
        with self.locked():
            engine, sounding = self._searcher(), self._state.sounding
        if isinstance(engine, ExactEngine):
            return False
        if engine.count() < sounding:
            return True
        runs = self.live_runs()[0].tolist()
        for some in blocks(random.sample(runs, min(len(runs), _COUNTED)), _SWEPT):
            there = engine.count(some)
            # Asked afterwards: tracks may be removed meanwhile.
            (wanted,) = self.database.rows(
                "SELECT coalesce(sum(sounding), 0)::bigint FROM grafprint.tracks"
                " WHERE run = ANY(%s)", (some,)
            )[0]  # fmt: skip
            if there < wanted:
                return True
        return False

    @property
    def index_remedy(self) -> str:
        """What to do about a damaged index."""
        return f"make it again: grafprint library reindex --library {self.address}"
