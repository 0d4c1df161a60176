"""Texts of tracks that later versions added, in a table of their own.

Older versions read and write the library without it; a row counts only while its content hash is
that of the track.
"""

from __future__ import annotations

import sqlite3

from grafprint.audio.metadata import Tags
from grafprint.library.records import Details

_NAMES = Details._fields
_TABLE = f"""
CREATE TABLE IF NOT EXISTS details (
  track INTEGER PRIMARY KEY, content_hash TEXT NOT NULL,
  {", ".join(f"{name} NOT NULL" for name in _NAMES)}
)
"""


def of_tags(tags: Tags) -> Details:
    """The part of a file's tags that is stored here."""
    return Details(*(getattr(tags, name) for name in _NAMES))


def read(db: sqlite3.Connection) -> dict[int, Details]:
    """The details of each track that has some."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'details'").fetchone():
        return {}
    names = ", ".join(f"details.{name}" for name in _NAMES)
    rows = db.execute(
        f"SELECT track, {names} FROM details JOIN tracks ON id = track"
        " AND details.content_hash = tracks.content_hash"
    )
    return {row[0]: Details._make((*row[1:-1], bool(row[-1]))) for row in rows}


def write(db: sqlite3.Connection, track: int, content_hash: str, details: Details) -> None:
    """Store the details of a track, inside a transaction."""
    db.execute(_TABLE)
    places = ", ".join("?" * (2 + len(_NAMES)))
    db.execute(f"INSERT OR REPLACE INTO details VALUES ({places})", (track, content_hash, *details))


def delete(db: sqlite3.Connection, tracks: list[int]) -> None:
    """Delete the details of removed tracks, inside a transaction."""
    db.execute(_TABLE)
    db.executemany("DELETE FROM details WHERE track = ?", [(track,) for track in tracks])
