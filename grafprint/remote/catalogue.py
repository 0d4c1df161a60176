"""A library's tracks and files in PostgreSQL: a change is one transaction, and may be repeated.

Every change begins by locking the one row of ``state``, so changes of all writers come one after
the other; each takes some milliseconds. Reads see what is committed, and nothing is kept in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from dataclasses import replace as changed
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

from grafprint.audio.metadata import Tags, title_of_name
from grafprint.library import details
from grafprint.library.labels import Labels
from grafprint.library.records import File, Recording, Track
from grafprint.remote import schema
from grafprint.remote.database import Connection, Database, one

_TRACK: LiteralString = (
    "id, (SELECT path FROM grafprint.files WHERE track = tracks.id ORDER BY number LIMIT 1),"
    " content_hash, duration_s, title, artist, album, licence, source, run, count,"
    " year, isrc, musicbrainz_recording, musicbrainz_release, musicbrainz_artist, title_from_name"
)
_SELECT: LiteralString = f"SELECT {_TRACK} FROM grafprint.tracks "
_RUN = 9  # the column with the run in such a row


class Overtaken(Exception):
    """A run was stored for another engine than the present one, or is no longer pending."""


class RemoteCatalogue:
    """See :class:`grafprint.library.target.Records`; ``stored`` says which run is pending."""

    def __init__(
        self, database: Database, stored: Callable[[], tuple[int, int, str]] | None = None
    ) -> None:
        """``stored()``: the pending run, its number of sounding rows, and the engine that has it.

        It stores the rows before, if they are not; see ``RemoteLibrary.sync_rows``.
        """
        self._database, self._stored = database, stored

    # Looking up ---------------------------------------------------------------------------------

    @property
    def network(self) -> str | None:
        """The path of the network's file, as stored."""
        found = self._database.rows("SELECT value FROM grafprint.meta WHERE key = 'network'")
        return json.loads(found[0][0]) if found else None

    @property
    def kept_out(self) -> dict[str, str]:
        """The files that were removed to stay out: paths and content."""
        return dict(
            self._database.rows("SELECT path, content_hash FROM grafprint.kept_out ORDER BY path")
        )

    def file(self, path: str) -> File | None:
        """What is stored about a file; None if there is none of that path."""
        found = self._database.rows(
            "SELECT path, track, size, mtime_ns FROM grafprint.files WHERE path = %s", (path,)
        )
        return File(*found[0]) if found else None

    def files_below(self, folder: str) -> list[File]:
        """The files below a folder, or the file of that path."""
        rows = self._database.rows(
            "SELECT path, track, size, mtime_ns FROM grafprint.files"
            " WHERE path = %s OR starts_with(path, %s) ORDER BY number",
            (folder, folder.rstrip("/\\") + ("\\" if "\\" in folder else "/")),
        )
        return [File(*row) for row in rows]

    def find(self, track_id: int) -> Track | None:
        """The track with this id, if any."""
        found = self._tracks("WHERE id = %s", track_id)
        return found[0] if found else None

    def track(self, track_id: int) -> Track:
        """The track with this id, which must exist."""
        found = self.find(track_id)
        if found is None:
            raise KeyError(track_id)
        return found

    def of_runs(self, runs: list[int]) -> list[Track]:
        """The tracks that some runs belong to; there are none for runs of no track."""
        return self._tracks("WHERE run = ANY(%s)", runs)

    def tracks(self, words: list[str] = []) -> list[Track]:  # noqa: B006
        """All tracks in the order they were added, or those that contain every word."""
        return self._tracks(
            "WHERE (SELECT bool_and(position(lower(word) IN lower(concat_ws(' ', title, artist,"
            " album, (SELECT path FROM grafprint.files WHERE track = tracks.id ORDER BY number"
            " LIMIT 1)))) > 0) FROM unnest(%s::text[]) AS word) IS NOT FALSE ORDER BY id",
            words,
        )

    def with_content(self, content_hash: str) -> Track | None:
        """The track with the given content, if any."""
        found = self._tracks("WHERE content_hash = %s", content_hash)
        return found[0] if found else None

    def paths_of(self, track: int) -> list[str]:
        """The files of a track, in the order they were added."""
        rows = self._database.rows(
            "SELECT path FROM grafprint.files WHERE track = %s ORDER BY number", (track,)
        )
        return [path for (path,) in rows]

    def is_kept_out(self, path: str) -> bool:
        """Whether the file of this path was removed to stay out."""
        return bool(self._database.rows("SELECT FROM grafprint.kept_out WHERE path = %s", (path,)))

    def keeps_out(self, content_hash: str) -> bool:
        """Whether a file of this content was removed to stay out."""
        statement: LiteralString = "SELECT FROM grafprint.kept_out WHERE content_hash = %s LIMIT 1"
        return bool(self._database.rows(statement, (content_hash,)))

    def has_details(self, track: int) -> bool:
        """True: all texts of every track are stored."""
        return True

    def checksums(self) -> list[tuple[int, int, int]]:
        """Id, run and checksum of each track."""
        rows = self._database.rows("SELECT id, run, crc32 FROM grafprint.tracks ORDER BY id")
        return [(int(a), int(b), int(c)) for a, b, c in rows]

    def checksum(self, track: int) -> int | None:
        """The checksum of a track's fingerprints."""
        rows = self._database.rows("SELECT crc32 FROM grafprint.tracks WHERE id = %s", (track,))
        return int(rows[0][0]) if rows else None

    def labels(self) -> dict[int, Labels]:
        """The labels of each track that has been tagged."""
        rows = self._database.rows(
            "SELECT id, tagger, labels FROM grafprint.tracks WHERE tagger IS NOT NULL"
        )
        return {track: Labels(tagger, text) for track, tagger, text in rows}

    def _tracks(self, where: LiteralString, value: Any) -> list[Track]:
        return [_track(row) for row in self._database.rows(_SELECT + where, (value,))]

    # Changing -----------------------------------------------------------------------------------

    def put(self, recording: Recording, file: File, replaces: int | None) -> Track:
        """See :class:`grafprint.library.target.Records`.

        If another writer has stored the same content meanwhile, the file is noted as a copy of it.
        """
        assert self._stored is not None
        while True:
            run, sounding, engine = self._stored()
            work = partial(
                _put, recording=recording, file=file, run=run, sounding=sounding, engine=engine
            )
            try:
                return self._database.change(work)
            except Overtaken:
                continue

    def put_file(self, file: File) -> None:
        """See :class:`grafprint.library.target.Records`."""

        def work(db: Connection) -> None:
            _begin(db)
            _hold(db, file)

        self._database.change(work)

    def put_tags(self, track: Track, tags: Tags) -> Track:
        """Replace the texts of a track; returns it."""
        texts = _texts(tags)

        def work(db: Connection) -> None:
            _begin(db)
            names = ", ".join(f"{name} = %({name})s" for name in texts)
            db.execute(
                f"UPDATE grafprint.tracks SET {names} WHERE id = %(id)s",
                {**texts, "id": track.id},
            )

        self._database.change(work)
        return self.track(track.id)

    def put_labels(self, track: Track, labels: Labels) -> None:
        """Store what a track sounds like, instead of what was stored before."""

        def work(db: Connection) -> None:
            _begin(db)
            db.execute(
                "UPDATE grafprint.tracks SET tagger = %s, labels = %s WHERE id = %s",
                (*labels, track.id),
            )

        self._database.change(work)

    def put_network(self, path: str) -> None:
        """Remember where the file of the network is."""
        self._database.change(lambda db: put_meta(db, "network", path))

    def keep_out(self, files: dict[str, str]) -> None:
        """Remember files, as paths and content, that are not to be added again."""

        def work(db: Connection) -> None:
            with db.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO grafprint.kept_out VALUES (%s, %s)"
                    " ON CONFLICT (path) DO UPDATE SET content_hash = excluded.content_hash",
                    list(files.items()),
                )

        self._database.change(work)

    def let_in(self, path: str, content_hash: str) -> None:
        """Forget that a file, and others of the same content, are to be kept out."""
        if self.is_kept_out(path) or self.keeps_out(content_hash):
            self._database.change(
                lambda db: db.execute(
                    "DELETE FROM grafprint.kept_out WHERE path = %s OR content_hash = %s",
                    (path, content_hash),
                )
            )

    def remove_files(self, paths: Iterable[str]) -> list[Track]:
        """Remove files, and the tracks left without a file; returns these tracks."""
        gone = list(paths)
        before = self._tracks(
            "WHERE id IN (SELECT track FROM grafprint.files WHERE path = ANY(%s)) ORDER BY id", gone
        )

        def work(db: Connection) -> set[int]:
            _begin(db)
            db.execute("DELETE FROM grafprint.files WHERE path = ANY(%s)", (gone,))
            dead = set()
            for track in before:
                left = db.execute(
                    "SELECT path FROM grafprint.files WHERE track = %s ORDER BY number LIMIT 1",
                    (track.id,),
                ).fetchone()
                if left is None:
                    _drop(db, track.id)
                    dead.add(track.id)
                elif track.title_from_name:
                    db.execute(
                        "UPDATE grafprint.tracks SET title = %s WHERE id = %s",
                        (_text(title_of_name(Path(left[0]))), track.id),
                    )
            return dead

        dead = self._database.change(work)
        return [track for track in before if track.id in dead]


def put_meta(db: Connection, key: str, value: object) -> None:
    """Store a fact about the library, in a transaction."""
    db.execute(
        "INSERT INTO grafprint.meta VALUES (%s, %s)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, json.dumps(value)),
    )


def _begin(db: Connection) -> str:
    """Lock the library for a change, and count it; returns the engine."""
    (engine,) = one(db, "UPDATE grafprint.state SET changes = changes + 1 RETURNING engine")
    return str(engine)


def _put(
    db: Connection, recording: Recording, file: File, run: int, sounding: int, engine: str
) -> Track:
    present = _begin(db)
    stored = db.execute(_SELECT + "WHERE run = %s", (run,)).fetchone()
    if stored:  # this was committed before the connection was lost
        return _track(stored)
    if present != engine:
        raise Overtaken
    if not db.execute("DELETE FROM grafprint.pending WHERE run = %s", (run,)).rowcount:
        raise Overtaken  # the connection was lost, and another writer has cleaned up
    same = db.execute(
        "SELECT id FROM grafprint.tracks WHERE content_hash = %s", (recording.content_hash,)
    ).fetchone()
    if same:
        throw_away(db, [run])
        _hold(db, changed(file, track=same[0]))
        return _track(one(db, _SELECT + "WHERE id = %s", (same[0],)))
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
        **_texts(recording.tags),
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
    _hold(db, changed(file, track=track))
    return _track(one(db, _SELECT + "WHERE id = %s", (track,)))


def _hold(db: Connection, file: File) -> None:
    """Note that a file holds its track; drop its former track if that has no other file."""
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
            _drop(db, former[0])


def _drop(db: Connection, track: int) -> None:
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


def _texts(tags: Tags) -> dict[str, str | bool]:
    """The columns of a track that come from its file's tags."""
    texts = {
        name: getattr(tags, name) for name in ("title", "artist", "album", "licence", "source")
    }
    texts |= details.of_tags(tags)._asdict()
    return {k: _text(v) if isinstance(v, str) else bool(v) for k, v in texts.items()}


def _text(text: str) -> str:
    """A text that PostgreSQL can store."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _track(row: tuple[Any, ...]) -> Track:
    values = list(row)
    values[_RUN] = schema.first_row(values[_RUN])
    return Track(*values)
