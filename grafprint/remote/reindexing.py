"""Make the search index of a library anew, on the same engine or another, while it is in use."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable

import numpy as np

from grafprint.errors import LibraryError
from grafprint.remote import schema
from grafprint.remote.database import Connection, one
from grafprint.remote.engine import MILVUS, EngineSettings
from grafprint.remote.exact import ExactEngine
from grafprint.remote.library import RemoteLibrary
from grafprint.remote.ownership import condemned, forget, is_noted, note
from grafprint.remote.state import connect

_log = logging.getLogger(__name__)

# Searches that began before the change may still ask the old index.
GRACE_S = 5.0
# Fewer fingerprints are searched as fast without their index being complete.
SETTLED_FROM = 20_000


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

    Others may read and write meanwhile: what they change is brought into the new index in the
    transaction that makes it the library's. If this is stopped, the old index stays.
    ``progress(done, total)`` counts fingerprints.

    Raises LibraryError if a server fails or the library is open for reading only.
    """
    library.require_writable()
    engine = connect(settings, library.dim)
    try:
        if not isinstance(engine, ExactEngine):
            library.database.change(lambda db: note(db, settings, library.database.writer))
            engine.create()
        copied: set[int] = set()

        def copy(runs: Iterable[tuple[int, int]]) -> int:
            done, total, sounding = 0, len(library), 0
            for run, count in runs:
                for first, vectors, _ in library.parts_of(run):
                    engine.put(first + np.arange(len(vectors)), vectors)
                    sounding += int(vectors.any(axis=1).sum())
                copied.add(run)
                done += count
                if progress:
                    progress(done, max(done, total))
            return sounding

        if not isinstance(engine, ExactEngine):
            runs, counts = library.live_runs()
            sounding = copy(zip(runs.tolist(), counts.tolist(), strict=True))
            if counts.sum() >= SETTLED_FROM:
                engine.settle()
            if (there := engine.count()) < sounding:
                raise LibraryError(
                    f"the search server {settings.uri} has only {there} of {sounding} fingerprints "
                    "that it was sent: see its log, and run it again"
                )

        def switch(db: Connection) -> str:
            (old,) = one(db, "SELECT engine FROM grafprint.state FOR UPDATE")
            if not isinstance(engine, ExactEngine):
                if not is_noted(db, settings):
                    raise LibraryError(
                        "the connection was lost, and another program that made an index has "
                        "deleted this one as left behind: run it again"
                    )
                live = {run for (run,) in db.execute("SELECT run FROM grafprint.tracks")}
                for run in sorted(live - copied):
                    bounds = schema.parts_of(run)
                    with db.cursor(binary=True) as cursor:
                        parts = cursor.execute(
                            "SELECT id, fingerprints FROM grafprint.parts"
                            " WHERE id BETWEEN %s AND %s", bounds
                        ).fetchall()  # fmt: skip
                    for part, data in parts:
                        vectors = np.frombuffer(data, "<f2").reshape(-1, library.dim)
                        first = part << schema.PART_BITS
                        engine.put(first + np.arange(len(vectors)), vectors)
                engine.remove(sorted(copied - live))
                note(db, settings, 0)
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
