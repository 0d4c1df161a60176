"""Which collections of a Milvus server are a database's own: only these are written and deleted.

A copy of a database, by ``createdb --template`` or from a dump, names the collection of the
original. So each collection is noted in ``meta`` with the database that makes it.
"""

from __future__ import annotations

import json
from typing import LiteralString

from grafprint.errors import LibraryError
from grafprint.remote import schema
from grafprint.remote.changes import put_meta
from grafprint.remote.database import Connection, Database, one
from grafprint.remote.engine import MILVUS, EngineSettings

_KEY = "collection "  # and its name
_NOTED: LiteralString = "SELECT value FROM grafprint.meta WHERE key = %s"
# Not the same in a copy; the same after a move to a replica.
_HERE: LiteralString = (
    "SELECT system_identifier || ' ' || oid FROM pg_control_system(), pg_database"
    " WHERE datname = current_database()"
)


def note(db: Connection, settings: EngineSettings, writer: int) -> None:
    """Note that ``writer`` begins to fill a collection; 0: that it is full."""
    (here,) = one(db, _HERE)
    facts = {"database": here, "writer": writer, "engine": settings.to_text()}
    put_meta(db, _KEY + settings.collection, facts)


def is_noted(db: Connection, settings: EngineSettings) -> bool:
    """Whether a collection is still there to be filled."""
    found = db.execute(_NOTED, (_KEY + settings.collection,)).fetchone()
    return found is not None and json.loads(found[0])["writer"] is not None


def require_own(database: Database, settings: EngineSettings) -> None:
    """Raise LibraryError if the collection is that of a database that this one is a copy of.

    Collections that are not noted, since an earlier version made them, are taken for own ones.
    """
    if settings.kind != MILVUS:
        return
    found = database.rows(_NOTED, (_KEY + settings.collection,))
    if found and json.loads(found[0][0])["database"] != database.rows(_HERE)[0][0]:
        raise LibraryError(
            f"the database {database.address} is a copy, and its search index is still that of the "
            "original: make one of its own with  grafprint library reindex --library "
            f"{database.address}"
        )


def condemned(db: Connection) -> list[EngineSettings]:
    """The database's own collections that nobody uses or fills, which are to be deleted.

    From now on nobody can switch to them.
    """
    (engine,) = one(db, "SELECT engine FROM grafprint.state FOR UPDATE")
    used = _KEY + EngineSettings.from_text(engine).collection
    (here,) = one(db, _HERE)
    found = []
    notes: LiteralString = "SELECT key, value FROM grafprint.meta WHERE starts_with(key, %s)"
    for key, value in db.execute(notes, (_KEY,)).fetchall():
        facts = json.loads(value)
        if key == used or facts["database"] != here:
            continue
        if writer := facts["writer"]:
            # A writer holds its lock for as long as it is connected; this one may take its own.
            free: LiteralString = "SELECT pg_try_advisory_xact_lock(%s, %s)"
            if one(db, free, (schema.WRITERS, writer)) != (True,):
                continue
        put_meta(db, key, {**facts, "writer": None})
        found.append(EngineSettings.from_text(facts["engine"]))
    return found


def forget(db: Connection, settings: EngineSettings) -> None:
    """Note that a collection is deleted."""
    db.execute("DELETE FROM grafprint.meta WHERE key = %s", (_KEY + settings.collection,))
