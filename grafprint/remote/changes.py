"""What a change does to the tables of a library, inside its transaction.

Every change begins by locking the one row of ``state``, so changes of all writers come one after
the other; each takes some milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from dataclasses import replace as changed
from typing import Any, LiteralString

from grafprint.audio.metadata import Tags
from grafprint.errors import NoTrackError
from grafprint.library import details
from grafprint.library.records import File, Recording, Track
from grafprint.remote import schema
from grafprint.remote.database import Connection, one

_TRACK: LiteralString = (
    "id, (SELECT path FROM grafprint.files WHERE track = tracks.id ORDER BY number LIMIT 1),"
    " content_hash, duration_s, title, artist, album, licence, source, run, count,"
    " year, isrc, musicbrainz_recording, musicbrainz_release, musicbrainz_artist, title_from_name"
)
SELECT: LiteralString = f"SELECT {_TRACK} FROM grafprint.tracks "
_RUN = 9  # the column with the run in such a row


class Overtaken(Exception):
    """A run was stored for another engine than the present one, or is no longer pending."""


def put_meta(db: Connection, key: str, value: object) -> None:
    """Store a fact about the library, in a transaction."""
    db.execute(
        "INSERT INTO grafprint.meta VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, json.dumps(value)),
    )


def begin(db: Connection) -> str:
    """Lock the library for a change, and count it; returns the engine."""
    (engine,) = one(db, f"UPDATE grafprint.state SET {schema.CHANGED} RETURNING engine")
    return str(engine)


def put(
    db: Connection, recording: Recording, file: File, run: int, sounding: int, engine: str
) -> Track:
    present = begin(db)
    stored = db.execute(SELECT + "WHERE run = %s", (run,)).fetchone()
    if stored:  # this was committed before the connection was lost
        return track_of(stored)
    if present != engine:
        raise Overtaken
    if not db.execute("DELETE FROM grafprint.pending WHERE run = %s", (run,)).rowcount:
        raise Overtaken  # the connection was lost, and another writer has cleaned up
    same = db.execute(
        "SELECT id FROM grafprint.tracks WHERE content_hash = %s", (recording.content_hash,)
    ).fetchone()
    if same:
        throw_away(db, [run])
        hold(db, changed(file, track=same[0]))
        return track_of(one(db, SELECT + "WHERE id = %s", (same[0],)))
    columns = {
        "run": run,
        "content_hash": recording.content_hash,
        "duration_s": recording.duration_s,
        "count": recording.count,
        "sounding": sounding,
        "crc32": recording.crc32,
        "has_landmarks": one(
            db,
            "SELECT EXISTS (SELECT FROM grafprint.parts WHERE id = %s AND landmarks IS NOT NULL)",
            (schema.parts_of(run)[0],),
        )[0],
        **texts_of(recording.tags),
    }
    # The file's former track gets the new content, unless another file holds that, too.
    former = db.execute(
        "SELECT track FROM grafprint.files f WHERE path = %s AND NOT EXISTS"
        " (SELECT FROM grafprint.files o WHERE o.track = f.track AND o.path <> f.path)",
        (file.path,),
    ).fetchone()
    if former:
        track = int(former[0])
        _subtract(db, track)
        sets = ", ".join(f"{name} = %({name})s" for name in columns)
        db.execute(
            f"UPDATE grafprint.tracks SET {sets}, tagger = NULL, labels = NULL WHERE id = %(id)s",
            {**columns, "id": track},
        )
    else:
        names = ", ".join(columns)
        values = ", ".join(f"%({name})s" for name in columns)
        statement = f"INSERT INTO grafprint.tracks ({names}) VALUES ({values}) RETURNING id"
        (track,) = one(db, statement, columns)
    db.execute(
        "UPDATE grafprint.state SET fingerprints = fingerprints + %(count)s,"
        " rows = rows + %(count)s, sounding = sounding + %(sounding)s",
        columns,
    )
    hold(db, changed(file, track=track))
    return track_of(one(db, SELECT + "WHERE id = %s", (track,)))


def hold(db: Connection, file: File) -> None:
    """Note that a file holds its track; drop its former track if that has no other file.

    Raises NoTrackError if there is no such track any more.
    """
    if db.execute("SELECT FROM grafprint.tracks WHERE id = %s", (file.track,)).fetchone() is None:
        raise NoTrackError(f"another program has removed track number {file.track}")
    former = db.execute(
        "SELECT track FROM grafprint.files WHERE path = %s", (file.path,)
    ).fetchone()
    db.execute(
        "INSERT INTO grafprint.files (path, track, size, mtime_ns)"
        " VALUES (%(path)s, %(track)s, %(size)s, %(mtime_ns)s) ON CONFLICT (path) DO UPDATE SET"
        " track = excluded.track, size = excluded.size, mtime_ns = excluded.mtime_ns",
        asdict(file),
    )
    if former and former[0] != file.track:
        other = db.execute(
            "SELECT FROM grafprint.files WHERE track = %s LIMIT 1", (former[0],)
        ).fetchone()
        if other is None:
            drop(db, former[0])


def drop(db: Connection, track: int) -> None:
    """Delete a track that has no file."""
    _subtract(db, track)
    db.execute("DELETE FROM grafprint.tracks WHERE id = %s", (track,))


def _subtract(db: Connection, track: int) -> None:
    """Take a track's rows out of the sums, and throw them away."""
    found = db.execute(
        "UPDATE grafprint.state SET fingerprints = fingerprints - t.count,"
        " sounding = state.sounding - t.sounding"
        " FROM grafprint.tracks t WHERE t.id = %s RETURNING t.run",
        (track,),
    ).fetchone()
    if found:
        throw_away(db, [found[0]])


def throw_away(db: Connection, runs: Iterable[int]) -> None:
    """Delete the rows of runs, and note that the index may still have them."""
    for run in runs:
        db.execute("DELETE FROM grafprint.parts WHERE id BETWEEN %s AND %s", schema.parts_of(run))
        db.execute("INSERT INTO grafprint.garbage VALUES (%s) ON CONFLICT (run) DO NOTHING", (run,))


def abandon(db: Connection, runs: list[int]) -> None:
    """Give up runs that are pending."""
    gone = db.execute("DELETE FROM grafprint.pending WHERE run = ANY(%s) RETURNING run", (runs,))
    throw_away(db, [run for (run,) in gone.fetchall()])


def abandon_dead(db: Connection) -> None:
    """Give up what writers have left that are no longer connected."""
    dead = db.execute(
        "SELECT run FROM grafprint.pending WHERE writer IN (SELECT writer FROM"
        " (SELECT DISTINCT writer FROM grafprint.pending) w"
        " WHERE pg_try_advisory_xact_lock(%s, writer)) FOR UPDATE SKIP LOCKED",
        (schema.WRITERS,),
    )
    abandon(db, [run for (run,) in dead.fetchall()])


def texts_of(tags: Tags) -> dict[str, str | bool]:
    """The columns of a track that come from its file's tags."""
    texts = {
        name: getattr(tags, name) for name in ("title", "artist", "album", "licence", "source")
    }
    texts |= details.of_tags(tags)._asdict()
    return {k: stored_text(v) if isinstance(v, str) else bool(v) for k, v in texts.items()}


def stored_text(text: str) -> str:
    """A text that PostgreSQL can store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def track_of(row: tuple[Any, ...]) -> Track:
    values = list(row)
    values[_RUN] = schema.first_row(values[_RUN])
    return Track(*values)
