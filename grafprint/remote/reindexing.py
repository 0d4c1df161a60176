"""Make the search index of a library anew, on the same engine or another, while it is in use."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from grafprint.errors import LibraryError
from grafprint.remote import schema
from grafprint.remote.database import Connection, one
from grafprint.remote.engine import MILVUS, EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.library import RemoteLibrary
from grafprint.remote.ownership import condemned, forget, is_noted, note
from grafprint.remote.state import connect

if TYPE_CHECKING:
    from grafprint.remote.milvus import MilvusEngine

_log = logging.getLogger(__name__)

# Searches that began before the change may still ask the old index.
GRACE_S = 5.0
# Fewer fingerprints are searched as fast without their index being complete.
SETTLED_FROM = 20_000
# Fewer are copied while writers wait: in about a second.
LITTLE = 20_000


def prefix(library: RemoteLibrary) -> str:
    """How the names of a library's collections begin."""
    return f"grafprint_{library.library_id}_"


def new_collection(library: RemoteLibrary) -> str:
    """A name for a new collection of a library."""
    return prefix(library) + uuid.uuid4().hex[:8]


def reindex(
    library: RemoteLibrary,
    settings: EngineSettings,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill the new index ``settings`` with the library's fingerprints, then search with it.

    Others may read and write meanwhile: what they change is brought into the new index as well, the
    last of it in the transaction that makes it the library's, for which they wait. If this is
    stopped, the old index stays. ``progress(done, total)`` counts fingerprints.

    Raises LibraryError if a server fails or the library is open for reading only.
    """
    library.require_writable()
    engine = connect(settings, library.dim)
    filling = None if isinstance(engine, ExactEngine) else _Filling(library, engine, progress)
    try:
        if filling:
            filling.begin()
            filling.catch_up()

        def switch(db: Connection) -> str:
            (old,) = one(db, "SELECT engine FROM grafprint.state FOR UPDATE")
            if filling:
                filling.finish(db)
            db.execute(
                f"UPDATE grafprint.state SET engine = %s, {schema.CHANGED}",
                (settings.to_text(),),
            )
            db.execute("DELETE FROM grafprint.garbage")
            return str(old)

        old = EngineSettings.from_text(library.database.change(switch))
    finally:
        engine.close()
    if old.kind == MILVUS and old != settings:
        time.sleep(GRACE_S)
    _drop_others(library)


class _Filling:
    """A new index, and what it has of the library."""

    def __init__(
        self,
        library: RemoteLibrary,
        engine: MilvusEngine,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._library, self._engine, self._progress = library, engine, progress
        self._has: dict[int, int] = {}  # the runs in it, and how many of their rows
        self._done = 0

    def begin(self) -> None:
        """Make the index."""
        database = self._library.database
        database.change(lambda db: note(db, self._engine.settings, database.writer))
        self._engine.create()

    def catch_up(self) -> None:
        """Copy, again and again, until hardly anything has been added meanwhile.

        Or until as much is added as is copied in the same time.
        """
        before = None
        while True:
            runs, counts = self._library.live_runs()
            live = dict(zip(runs.tolist(), counts.tolist(), strict=True))
            missing = {run: count for run, count in live.items() if run not in self._has}
            left = sum(missing.values())
            if before is not None and (left <= LITTLE or left >= before):
                break
            for run, count in missing.items():
                self._put(run, (part[:2] for part in self._library.parts_of(run)))
                self._done += count
                if self._progress:
                    self._progress(self._done, max(self._done, len(self._library)))
            self._remove(self._has.keys() - live.keys())
            if left >= SETTLED_FROM:
                self._engine.settle()
            before = left
        there, sent = self._engine.count(), sum(self._has.values())
        if there < sent:
            raise LibraryError(
                f"the search server {self._engine.settings.uri} has only {there} of {sent} "
                "fingerprints that it was sent: see its log, and run it again"
            )

    def finish(self, db: Connection) -> None:
        """Bring the index up to date in a transaction that holds off all changes."""
        if not is_noted(db, self._engine.settings):
            raise LibraryError(
                "the connection was lost, and another program that made an index has deleted this "
                "one as left behind: run it again"
            )
        live = {run for (run,) in db.execute("SELECT run FROM grafprint.tracks")}
        for run in sorted(live - self._has.keys()):
            with db.cursor(binary=True) as cursor:
                parts = cursor.execute(
                    "SELECT id, fingerprints FROM grafprint.parts WHERE id BETWEEN %s AND %s",
                    schema.parts_of(run),
                ).fetchall()
            dim = self._library.dim
            self._put(
                run,
                (
                    (part << schema.PART_BITS, np.frombuffer(data, "<f2").reshape(-1, dim))
                    for part, data in parts
                ),
            )
        self._remove(self._has.keys() - live)
        note(db, self._engine.settings, 0)

    def _put(self, run: int, parts: Iterable[tuple[int, np.ndarray]]) -> None:
        sent = 0
        for first, vectors in parts:
            self._engine.put(first + np.arange(len(vectors)), vectors)
            sent += int(vectors.any(axis=1).sum())
        self._has[run] = sent

    def _remove(self, runs: Iterable[int]) -> None:
        gone = sorted(runs)
        self._engine.remove(gone)
        for run in gone:
            del self._has[run]


def _drop_others(library: RemoteLibrary) -> None:
    """Delete the index that was replaced, and what stopped runs have left beside it.

    What is used is read now: another program may have made the index anew meanwhile.
    """
    for settings in library.database.change(condemned):
        engine = connect(settings, library.dim)
        assert not isinstance(engine, ExactEngine)
        try:
            engine.drop()
            library.database.change(lambda db, settings=settings: forget(db, settings))  # type: ignore[misc]
        except LibraryError as error:
            _log.warning("the collection %s is left: %s", settings.collection, error)
        finally:
            engine.close()
