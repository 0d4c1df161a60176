"""A library's tracks and files in PostgreSQL: a change is one transaction, and may be repeated.

Reads see what is committed, and nothing is kept in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

from grafprint.audio.metadata import Tags, title_of_name
from grafprint.errors import NoTrackError
from grafprint.library.labels import Labels
from grafprint.library.records import File, Recording, Totals, Track
from grafprint.remote import changes
from grafprint.remote.changes import SELECT, Overtaken, track_of
from grafprint.remote.database import Connection, Database


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
        """The track with this id. Raises NoTrackError if another program has removed it."""
        found = self.find(track_id)
        if found is None:
            raise NoTrackError(f"{self._database.address} has no track number {track_id}")
        return found

    def of_runs(self, runs: list[int]) -> list[Track]:
        """The tracks that some runs belong to; there are none for runs of no track."""
        return self._tracks("WHERE run = ANY(%s)", runs)

    def tracks(self, words: list[str] = []) -> list[Track]:  # noqa: B006
        """All tracks in the order they were added, or those that contain every word."""
        return self._tracks(
            "WHERE (SELECT bool_and(position(lower(word) IN lower(concat_ws(' ', title, artist,"
            " album, (SELECT path FROM grafprint.files WHERE track = tracks.id ORDER BY number"
            ' LIMIT 1) COLLATE "default"))) > 0) FROM unnest(%s::text[]) AS word) IS NOT FALSE'
            " ORDER BY id",
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

    def labels(self, first: int, most: int) -> dict[int, Labels | None]:
        """The labels of tracks from the id ``first`` on; None: it has not been tagged."""
        rows = self._database.rows(
            "SELECT id, tagger, labels FROM grafprint.tracks WHERE id >= %s ORDER BY id LIMIT %s",
            (first, most),
        )
        return {track: Labels(tagger, text) if tagger else None for track, tagger, text in rows}

    @property
    def has_labels(self) -> bool:
        """Whether any track has been tagged."""
        return bool(
            self._database.rows("SELECT FROM grafprint.tracks WHERE tagger IS NOT NULL LIMIT 1")
        )

    def totals(self) -> Totals:
        """How many tracks there are, how long, and how many of them have been tagged."""
        rows = self._database.rows(
            "SELECT count(*), coalesce(sum(duration_s), 0), count(tagger) FROM grafprint.tracks"
        )
        return Totals(*rows[0])

    def content_hashes(self) -> list[str]:
        """The content of each track."""
        return [
            text for (text,) in self._database.rows("SELECT content_hash FROM grafprint.tracks")
        ]

    def _tracks(self, where: LiteralString, value: Any) -> list[Track]:
        return [track_of(row) for row in self._database.rows(SELECT + where, (value,))]

    # Changing -----------------------------------------------------------------------------------

    def put(self, recording: Recording, file: File, replaces: int | None) -> Track:
        """See :class:`grafprint.library.target.Records`.

        If another writer has stored the same content meanwhile, the file is noted as a copy of it.
        """
        assert self._stored is not None
        while True:
            run, sounding, engine = self._stored()
            work = partial(
                changes.put,
                recording=recording,
                file=file,
                run=run,
                sounding=sounding,
                engine=engine,
            )
            try:
                return self._database.change(work)
            except Overtaken:
                continue

    def put_file(self, file: File) -> None:
        """See :class:`grafprint.library.target.Records`."""

        def work(db: Connection) -> None:
            changes.begin(db)
            changes.hold(db, file)

        self._database.change(work)

    def put_tags(self, track: Track, tags: Tags) -> Track:
        """Replace the texts of a track; returns it."""
        texts = changes.texts_of(tags)

        def work(db: Connection) -> None:
            changes.begin(db)
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
            changes.begin(db)
            changed = db.execute(
                "UPDATE grafprint.tracks SET tagger = %s, labels = %s"
                " WHERE id = %s AND content_hash = %s",
                (*labels, track.id, track.content_hash),
            )
            if not changed.rowcount:
                raise NoTrackError(f"another program has removed or replaced {track.title!r}")

        self._database.change(work)

    def put_network(self, path: str) -> None:
        """Remember where the file of the network is."""
        self._database.change(lambda db: changes.put_meta(db, "network", path))

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
        held: LiteralString = (
            "WHERE id IN (SELECT track FROM grafprint.files WHERE path = ANY(%s)) ORDER BY id"
        )
        dead: list[Track] = []

        def work(db: Connection) -> None:
            changes.begin(db)
            before = [track_of(row) for row in db.execute(SELECT + held, (gone,)).fetchall()]
            if not before:
                return  # or this was committed before the connection was lost
            dead.clear()
            db.execute("DELETE FROM grafprint.files WHERE path = ANY(%s)", (gone,))
            for track in before:
                left = db.execute(
                    "SELECT path FROM grafprint.files WHERE track = %s ORDER BY number LIMIT 1",
                    (track.id,),
                ).fetchone()
                if left is None:
                    changes.drop(db, track.id)
                    dead.append(track)
                elif track.title_from_name:
                    db.execute(
                        "UPDATE grafprint.tracks SET title = %s WHERE id = %s",
                        (changes.stored_text(title_of_name(Path(left[0]))), track.id),
                    )

        self._database.change(work)
        return dead
