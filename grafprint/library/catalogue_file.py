"""The SQLite file of a library's catalogue: its tables, its formats, what its errors mean."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from pathlib import Path

from grafprint import bundled, files
from grafprint.errors import LibraryError
from grafprint.library import row_store
from grafprint.library.records import File, Meta

FORMAT = 2  # format 1 had no checksums; it is read, and upgraded by a writer
_APPLICATION_ID = 0x47724650  # "GrFP"
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);  -- value: JSON
CREATE TABLE tracks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  content_hash TEXT NOT NULL UNIQUE,
  duration_s REAL NOT NULL,
  title TEXT NOT NULL, artist TEXT NOT NULL, album TEXT NOT NULL,
  licence TEXT NOT NULL, source TEXT NOT NULL,
  first INTEGER NOT NULL, count INTEGER NOT NULL CHECK (count > 0),  -- rows of the fingerprints
  crc32 INTEGER  -- of their bytes; NULL: not known
);
CREATE TABLE files (  -- several for one track: bit-exact copies
  path TEXT PRIMARY KEY,
  track INTEGER NOT NULL REFERENCES tracks (id),
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
);
"""
# Added later, when first needed: older versions read the library without them.
_LATER = (
    "CREATE TABLE IF NOT EXISTS network (path TEXT NOT NULL)",  # one row
    "CREATE TABLE IF NOT EXISTS kept_out (path TEXT PRIMARY KEY, content_hash TEXT NOT NULL)",
)
# Readers wait for a commit, and a commit waits for readers that are opening the library.
_TIMEOUT_S = 30.0


def network_file(library: Path) -> Path | None:
    """The file of the network that made a library, if the library remembers one of its own.

    Reads no more than that. Raises LibraryError if the library cannot be read.
    """
    path = library / "library.sqlite3"
    if not path.is_file():
        return None
    with explain_errors(path), closing(sqlite3.connect(path, timeout=_TIMEOUT_S)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'network'").fetchone():
            return None
        row = db.execute("SELECT path FROM network").fetchone()
    if not row:
        return None
    return bundled.where_now(Path(os.path.normpath(library.resolve() / row[0])))


def create(path: Path, meta: Meta) -> None:
    """Make an empty database. Raises LibraryError if it cannot be written."""

    def write(partial: Path) -> None:
        partial.unlink(missing_ok=True)
        with explain_errors(path), closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.executescript(_SCHEMA)
            write_meta(db, meta)

    files.replace(path, write)


def connect(path: Path) -> sqlite3.Connection:
    """Open a database. Raises LibraryError if there is none."""
    with explain_errors(path):
        # Writable for readers too, where the system allows it: after a killed write SQLite
        # must first roll back.
        return sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw",
            uri=True,
            timeout=_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )


def back_up(db: sqlite3.Connection, path: Path) -> None:
    """Copy a database to ``path``, in one step. Raises sqlite3.Error if it cannot be."""

    def write(partial: Path) -> None:
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial)) as copy:
            db.backup(copy)

    files.replace(path, write)


def is_of_format_1(db: sqlite3.Connection) -> bool:
    """Whether an older version made it."""
    return _format(db) == (_APPLICATION_ID, 1)


def upgrade(db: sqlite3.Connection) -> None:
    """Make format 2 of format 1, within a transaction."""
    db.execute("ALTER TABLE tracks ADD COLUMN crc32 INTEGER")
    db.execute(f"PRAGMA user_version = {FORMAT}")


def check_format(db: sqlite3.Connection, path: Path) -> int:
    """The format of a database that can be read. Raises LibraryError if it cannot be."""
    application, version = _format(db)
    if application != _APPLICATION_ID:
        raise LibraryError(f"{path} is not a GraFPrint library: name another folder")
    if not 1 <= version <= FORMAT:
        raise LibraryError(
            f"the library {path.parent} is of format {version}, and this version of "
            f"GraFPrint reads up to {FORMAT}: update GraFPrint, or index the music again"
        )
    return version


def _format(db: sqlite3.Connection) -> tuple[int, int]:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return application, version


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into LibraryErrors that say what to do."""
    try:
        yield
    except sqlite3.Error as failure:
        name = getattr(failure, "sqlite_errorname", "")
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            reason = (
                "the disk is full or fails; free some space and run it again; what was stored "
                "before is kept"
            )
        elif name.startswith("SQLITE_BUSY"):
            reason = "another program holds it; wait until that is done"
        elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
            reason = (
                "it cannot be opened or written here; if a program was stopped while it wrote, "
                "copy the library to a folder of your own"
            )
        else:
            reason = f"it is damaged; {row_store.REPAIR}"
        raise LibraryError(f"cannot use {path}: {reason} ({failure})") from failure


def write_meta(db: sqlite3.Connection, meta: Meta) -> None:
    """Write the metadata, in place of what is there."""
    db.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [(field.name, json.dumps(getattr(meta, field.name))) for field in fields(meta)],
    )


def add_later_tables(db: sqlite3.Connection) -> None:
    """Make the tables that older libraries lack."""
    for statement in _LATER:
        db.execute(statement)


def write_file(db: sqlite3.Connection, file: File) -> None:
    """Write which track a file is of, in place of what is there."""
    db.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
        " track=excluded.track, size=excluded.size, mtime_ns=excluded.mtime_ns",
        (file.path, file.track, file.size, file.mtime_ns),
    )
