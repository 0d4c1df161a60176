"""A library on servers: the same answers and commands as one in a folder.

PostgreSQL holds the catalogue and the fingerprints; a track is there once it has committed it. What
searches them (engine.py) is derived, and made anew with ``grafprint library reindex``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import zlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from grafprint.errors import LibraryError
from grafprint.library import records
from grafprint.library.labels import Labels
from grafprint.library.records import Network, Track
from grafprint.remote import schema
from grafprint.remote.address import Address
from grafprint.remote.catalogue import RemoteCatalogue
from grafprint.remote.changes import put_meta, throw_away
from grafprint.remote.database import Connection, Database, has_library, one
from grafprint.remote.engine import EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.pending import PendingRows
from grafprint.remote.reader import RemoteReader

if TYPE_CHECKING:
    import os

    from grafprint.fingerprint import Fingerprinter
    from grafprint.library.add_file import AddResult
    from grafprint.library.add_folder import IndexReport, OnProgress
    from grafprint.library.part import Part

_log = logging.getLogger(__name__)
_SWEPT = 200  # runs removed from the index at once


class RemoteLibrary(RemoteReader):
    """An open library on servers; a context manager that closes it.

    Any number of programs may read and write it at the same time. Each search sees it as it is when
    it begins. Methods may be called from several threads, which then wait for each other.
    """

    def __init__(self, address: Address, *, writable: bool) -> None:
        """Connect; see ``opening.open_library``."""
        super().__init__(address, writable=writable)
        self.adding = threading.Lock()
        self.vector_store = PendingRows(self.dim)
        self.catalogue = RemoteCatalogue(self.database, self._stored)
        self._run = 0  # the pending rows are stored as this run; 0: not yet
        self._indexed_by = ""  # the engine that has them

    @classmethod
    def create(cls, address: Address, network: Network) -> RemoteLibrary:
        """Make the tables of an empty library in an existing database; returns it, writable.

        Raises LibraryError if there is a library in it already, or the user may not.
        """
        database = Database(address, writable=True)
        meta = records.new_meta(
            network.model_id, network.dim, network.hop_s, network.window_s, None
        )

        def work(db: Connection) -> None:
            # Two programs may begin at the same time.
            db.execute("SELECT pg_advisory_xact_lock(%s, 0)", (schema.WRITERS,))
            if has_library(db):
                if one(db, "SELECT value FROM grafprint.meta WHERE key = 'library_id'") == (
                    json.dumps(meta.library_id),
                ):
                    return  # this was committed before the connection was lost
                raise LibraryError(
                    f"there is a library in {address} already: open it, or name another database"
                )
            db.execute(schema.TABLES)
            facts = {field.name: getattr(meta, field.name) for field in fields(meta)}
            for key, value in {"format": schema.FORMAT, **facts}.items():
                put_meta(db, key, value)
            db.execute(
                "INSERT INTO grafprint.state (engine) VALUES (%s)", (EngineSettings().to_text(),)
            )

        try:
            database.change(work)
        finally:
            database.close()
        return cls(address, writable=True)

    def close(self) -> None:
        """Finish and disconnect."""
        try:
            if self.writable:
                self.finish()
        finally:
            self.release()

    def release(self) -> None:
        """Disconnect."""
        self.vector_store.close()
        super().release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:  # an error in finishing would hide this one; the next writer finishes
            self.release()

    def require_writable(self) -> None:
        """Raise LibraryError unless it is open for writing."""
        if not self.writable:
            raise LibraryError(f"the library {self.address} is not open for writing")

    # Adding -------------------------------------------------------------------------------------

    def add(self, file: str | os.PathLike[str], fingerprinter: Fingerprinter) -> AddResult:
        """Fingerprint a file and store it as a track, unless the library has it already.

        As ``Library.add``; but paths are stored as absolute ones.
        """
        from grafprint.library import add_file

        return add_file.add_file(self, Path(file), fingerprinter)

    def add_folder(
        self,
        folder: str | os.PathLike[str],
        fingerprinter: Fingerprinter,
        progress: OnProgress | None = None,
        *,
        prune: bool = False,
        force: bool = False,
        part: Part | None = None,
    ) -> IndexReport:
        """Add every audio file below ``folder``; as ``Library.add_folder``."""
        from grafprint.library import add_folder

        report = add_folder.add_folder(
            self, Path(folder), fingerprinter, progress, prune=prune, force=force, part=part
        )
        self.finish()
        return report

    @contextlib.contextmanager
    def changing(self) -> Iterator[RemoteCatalogue]:
        """The catalogue, whose changes are transactions."""
        yield self.catalogue

    def sync_rows(self, landmarks: np.ndarray | None = None) -> None:
        """Store the pending rows on the servers, with their ``landmarks [n, 8]``, if any.

        They are no track's yet. Raises LibraryError if that fails.
        """
        self.vector_store.landmarks = landmarks if self.keeps_landmarks else None
        self._stored()

    def commit_rows(self) -> None:
        """Forget the pending rows; the caller has recorded them."""
        self.vector_store.clear()
        self._run, self._indexed_by = 0, ""

    def rollback_rows(self) -> None:
        """Drop the pending rows."""
        run = self._run
        self.commit_rows()
        if run:
            # If the server cannot be reached, the next writer cleans up.
            with contextlib.suppress(LibraryError):
                self.database.change(lambda db: _abandon(db, [run]))

    def _stored(self) -> tuple[int, int, str]:
        """The run of the pending rows, their number without silence, and the engine that has them.

        Stores them where they are not yet, or no longer.
        """
        rows = self.vector_store
        if not self._run or not self.database.rows(
            "SELECT FROM grafprint.pending WHERE run = %s UNION ALL"
            " SELECT FROM grafprint.tracks WHERE run = %s", (self._run, self._run)
        ):  # fmt: skip
            self._run, self._indexed_by = self._upload(), ""
        (wanted,) = self.database.rows("SELECT engine FROM grafprint.state")[0]
        if wanted != self._indexed_by:
            self._present()
            engine, first_row = self._searcher(), schema.first_row(self._run)
            for first, vectors, _ in rows.parts():
                engine.put(first_row + first + np.arange(len(vectors)), vectors)
            self._indexed_by = engine.settings.to_text()
        return self._run, rows.sounding, self._indexed_by

    def _upload(self) -> int:
        """Store the pending rows as those of a new run; returns it."""
        (run,) = self.database.rows("SELECT nextval('grafprint.runs')")[0]
        rows = self.vector_store

        def work(db: Connection) -> None:
            stored = "SELECT EXISTS (SELECT FROM grafprint.pending WHERE run = %s)"
            if one(db, stored, (run,)) == (True,):
                return  # this was committed before the connection was lost
            db.execute("INSERT INTO grafprint.pending VALUES (%s, %s)", (run, self.database.writer))
            for first, vectors, landmarks in rows.parts():
                db.execute(
                    "INSERT INTO grafprint.parts VALUES (%s, %b, %b)",
                    (
                        (schema.first_row(run) + first) >> schema.PART_BITS,
                        vectors.tobytes(),
                        None if landmarks is None else landmarks.astype("<u2").tobytes(),
                    ),
                )

        self.database.change(work)
        return int(run)

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

    # Removing -----------------------------------------------------------------------------------

    def put_labels(self, track: Track, labels: Labels) -> None:
        """Store what a track sounds like, instead of what was stored before."""
        self.require_writable()
        with self.adding:
            self.catalogue.put_labels(self.track(track.id), labels)

    def remove(self, track_id: int, *, keep_out: bool = False) -> Track:
        """Remove a track and its files from the library; returns the track.

        As ``Library.remove``. Searches that begin afterwards do not find it, anywhere.
        """
        self.require_writable()
        with self.adding:
            track = self.track(track_id)
            paths = self.catalogue.paths_of(track_id)
            if keep_out:
                self.catalogue.keep_out(dict.fromkeys(paths, track.content_hash))
            self.catalogue.remove_files(paths)
            return track

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
            self.database.change(_abandon_dead)
            try:
                self._present()
                engine = self._searcher()
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

        def work(db: Connection) -> None:
            if not has_library(db):
                return  # this was committed before the connection was lost
            db.execute("SELECT FROM grafprint.state FOR UPDATE")
            used = one(
                db,
                "SELECT EXISTS (SELECT FROM grafprint.tracks) OR EXISTS (SELECT FROM pg_locks"
                " WHERE locktype = 'advisory' AND classid = %s AND objid <> %s AND objid <> 0"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
                (schema.WRITERS, self.database.writer),
            )
            if used == (False,):
                db.execute("DROP SCHEMA grafprint CASCADE")

        self.database.change(work)

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
        """Whether the search server lacks some of the fingerprints."""
        with self.locked():
            engine, sounding = self._searcher(), self._state.sounding
        return not isinstance(engine, ExactEngine) and engine.count() < sounding

    @property
    def index_remedy(self) -> str:
        """What to do about a damaged index."""
        return f"make it again: grafprint library reindex --library {self.address}"


def _abandon(db: Connection, runs: list[int]) -> None:
    """Give up runs that are pending."""
    gone = db.execute("DELETE FROM grafprint.pending WHERE run = ANY(%s) RETURNING run", (runs,))
    throw_away(db, [run for (run,) in gone.fetchall()])


def _abandon_dead(db: Connection) -> None:
    """Give up what writers have left that are no longer connected."""
    dead = db.execute(
        "SELECT run FROM grafprint.pending WHERE writer IN (SELECT writer FROM"
        " (SELECT DISTINCT writer FROM grafprint.pending) w"
        " WHERE pg_try_advisory_xact_lock(%s, writer)) FOR UPDATE SKIP LOCKED",
        (schema.WRITERS,),
    )
    _abandon(db, [run for (run,) in dead.fetchall()])
