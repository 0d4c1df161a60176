"""Make the tables of a library in a database, and delete those of one that was not used."""

from __future__ import annotations

import json
from dataclasses import fields

from grafprint.errors import LibraryError
from grafprint.library import records
from grafprint.library.records import Network
from grafprint.remote import schema
from grafprint.remote.address import Address
from grafprint.remote.changes import put_meta
from grafprint.remote.database import Connection, Database, has_library, one
from grafprint.remote.engine import EngineSettings

_ENCODING = "UTF8"  # has all letters of titles and paths


def make_tables(address: Address, network: Network) -> None:
    """Make those of an empty library for fingerprints of ``network``.

    Raises LibraryError if there is a library already, the database is not encoded in UTF-8, or the
    user may not.
    """
    database = Database(address, writable=True)
    meta = records.new_meta(network.model_id, network.dim, network.hop_s, network.window_s, None)

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
        (encoding,) = one(db, "SHOW server_encoding")
        if encoding != _ENCODING:
            raise LibraryError(
                f"the database {address} is encoded in {encoding}, which has not all letters of "
                "titles and paths: make one with  createdb --encoding=UTF8 --template=template0 "
                f"{address.name}"
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


def delete_unused(database: Database) -> None:
    """Delete the tables, unless the library has tracks or another program writes to it."""

    def work(db: Connection) -> None:
        if not has_library(db):
            return  # this was committed before the connection was lost
        db.execute("SELECT FROM grafprint.state FOR UPDATE")
        used = one(
            db,
            "SELECT EXISTS (SELECT FROM grafprint.tracks) OR EXISTS (SELECT FROM pg_locks"
            " WHERE locktype = 'advisory' AND classid = %s AND objid <> %s AND objid <> 0"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            (schema.WRITERS, database.writer),
        )
        if used == (False,):
            db.execute("DROP SCHEMA grafprint CASCADE")

    database.change(work)
