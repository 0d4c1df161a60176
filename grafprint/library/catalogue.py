"""A library's tracks, files and metadata in SQLite; a track exists once SQLite has committed it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace as changed
from pathlib import Path

from grafprint.audio.metadata import Tags, title_of_name
from grafprint.errors import LibraryError
from grafprint.library import catalogue_file, details, labels, row_store
from grafprint.library.catalogue_file import (
    add_later_tables,
    explain_errors,
    write_file,
    write_meta,
)
from grafprint.library.labels import Labels
from grafprint.library.records import File, Meta, Recording, Track


class Catalogue:
    """The tables, read into memory at opening; changes go to SQLite first."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open the database ``path`` and read it. Raises LibraryError if it cannot be used."""
        self.path = path
        self.changed = False  # since it was opened
        self.tracks: dict[int, Track] = {}
        self.files: dict[str, File] = {}
        self.checksums: dict[int, int | None] = {}  # by track; None: not known
        self._db = catalogue_file.connect(path)
        try:
            if writable:
                self._upgrade()
            self.read()
        except BaseException:
            self.close()
            raise
        if not writable:
            self.close()

    def close(self) -> None:
        """Let go of the database; what was read stays."""
        with suppress(AttributeError):
            self._db.close()

    def back_up(self, path: Path) -> None:
        """Copy the database to ``path``, in one step. Raises LibraryError if it cannot be."""
        with explain_errors(self.path):
            catalogue_file.back_up(self._db, path)

    def _upgrade(self) -> None:
        with explain_errors(self.path):
            outdated = catalogue_file.is_of_format_1(self._db)
        if outdated:
            with self._transaction() as db:
                catalogue_file.upgrade(db)

    def read(self) -> None:
        """Read everything as committed. Raises LibraryError if it is damaged."""
        try:
            with explain_errors(self.path):
                self._read()
        except (ValueError, TypeError, KeyError) as failure:
            raise LibraryError(
                f"{self.path} is damaged: {failure!r}; {row_store.REPAIR}"
            ) from failure

    def _read(self) -> None:
        db = self._db
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = EXTRA")
        db.execute("BEGIN")
        version = catalogue_file.check_format(db, self.path)
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        self.meta = Meta(**{k: json.loads(v) for k, v in db.execute("SELECT key, value FROM meta")})
        self.files = {
            row[0]: File(*row)
            for row in db.execute("SELECT path, track, size, mtime_ns FROM files ORDER BY rowid")
        }
        self._read_later_tables()
        self._paths: dict[int, list[str]] = {}
        for file in self.files.values():
            self._paths.setdefault(file.track, []).append(file.path)
        self.details = details.read(db)  # by track; older ones have none
        self.labels = labels.read(db)  # by track; only of those that were tagged
        self.tracks = {
            row[0]: Track(row[0], self._paths[row[0]][0], *row[1:], *self.details.get(row[0], ()))
            for row in db.execute(
                "SELECT id, content_hash, duration_s, title, artist, album, licence, source, "
                "first, count FROM tracks ORDER BY id"
            )
        }
        checksum = "crc32" if version > 1 else "NULL"
        self.checksums = dict(db.execute(f"SELECT id, {checksum} FROM tracks"))
        db.execute("COMMIT")
        self._by_hash = {track.content_hash: track.id for track in self.tracks.values()}

    def _read_later_tables(self) -> None:
        names = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
        self.network: str | None = None  # path of the network's file, as stored
        self.kept_out: dict[str, str] = {}  # paths of files that stay out, and their content
        if "network" in names:
            row = self._db.execute("SELECT path FROM network").fetchone()
            self.network = row and row[0]
        if "kept_out" in names:
            self.kept_out = dict(self._db.execute("SELECT path, content_hash FROM kept_out"))

    # Looking up ---------------------------------------------------------------------------------

    def file(self, path: str) -> File | None:
        """What is stored about a file; None if there is none of that path."""
        return self.files.get(path)

    def track(self, track_id: int) -> Track:
        """The track with this id, which must exist."""
        return self.tracks[track_id]

    def checksum(self, track: int) -> int | None:
        """The checksum of a track's fingerprints, if it is known."""
        return self.checksums[track]

    def is_kept_out(self, path: str) -> bool:
        """Whether the file of this path was removed to stay out."""
        return path in self.kept_out

    def keeps_out(self, content_hash: str) -> bool:
        """Whether a file of this content was removed to stay out."""
        return content_hash in self.kept_out.values()

    def has_details(self, track: int) -> bool:
        """Whether all texts of a track are stored; older versions read fewer tags."""
        return track in self.details

    def with_content(self, content_hash: str) -> Track | None:
        """The track with the given content, if any."""
        track = self._by_hash.get(content_hash)
        return None if track is None else self.tracks[track]

    def content_hashes(self) -> list[str]:
        """The content of each track."""
        return list(self._by_hash)

    def paths_of(self, track: int) -> list[str]:
        """The files of a track, in the order they were added."""
        return self._paths[track]

    # Changing -----------------------------------------------------------------------------------

    def put(self, recording: Recording, file: File, replaces: int | None) -> Track:
        """Store a new recording and its file (whose ``track`` is ignored).

        ``replaces`` is the track that the file held before its content changed: it gets the new
        content and keeps its id, unless another file holds it too.
        """
        if replaces is not None and len(self._paths[replaces]) > 1:
            replaces = None
        meta = changed(
            self.meta,
            rows=self.meta.rows + recording.count,
            removals=self.meta.removals + (replaces is not None),
        )
        tags, more = recording.tags, details.of_tags(recording.tags)
        values = (
            *(recording.content_hash, recording.duration_s),
            *(tags.title, tags.artist, tags.album, tags.licence, tags.source),
            *(self.meta.rows, recording.count),
        )
        with self._transaction() as db:
            (track,) = db.execute(
                "INSERT INTO tracks (id, content_hash, duration_s, title, artist, album, licence,"
                " source, first, count, crc32) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
                " ON CONFLICT (id) DO UPDATE SET"
                " content_hash=excluded.content_hash, duration_s=excluded.duration_s,"
                " title=excluded.title, artist=excluded.artist, album=excluded.album,"
                " licence=excluded.licence, source=excluded.source, first=excluded.first,"
                " count=excluded.count, crc32=excluded.crc32 RETURNING id",
                (replaces, *values, recording.crc32),
            ).fetchone()
            details.write(db, track, recording.content_hash, more)
            file = changed(file, track=track)
            write_file(db, file)
            write_meta(db, meta)
        self.meta = meta
        if replaces is not None:
            del self._by_hash[self.tracks[replaces].content_hash]
        self.tracks[track] = Track(track, file.path, *values, *more)
        self.details[track] = more
        self.labels.pop(track, None)
        self.checksums[track] = recording.crc32
        self._by_hash[recording.content_hash] = track
        self._move(file.path, file)
        return self.tracks[track]

    def put_file(self, file: File) -> None:
        """Store that ``file`` holds its ``track``; drop its former track if that has no other."""
        previous = self.files.get(file.path)
        orphan = (
            previous is not None
            and previous.track != file.track
            and len(self._paths[previous.track]) == 1
        )
        meta = changed(self.meta, removals=self.meta.removals + orphan)
        with self._transaction() as db:
            write_file(db, file)
            if previous is not None and orphan:
                db.execute("DELETE FROM tracks WHERE id = ?", (previous.track,))
            write_meta(db, meta)
        self.meta = meta
        self._move(file.path, file)

    def remove_files(self, paths: Iterable[str]) -> list[Track]:
        """Remove files, and the tracks left without a file; returns these tracks."""
        gone = set(paths)
        touched = sorted({self.files[path].track for path in gone})
        dead = [self.tracks[track] for track in touched if gone.issuperset(self._paths[track])]
        meta = changed(self.meta, removals=self.meta.removals + bool(dead))
        titles = self._titles_without(gone, touched)
        with self._transaction() as db:
            db.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in gone])
            db.executemany("DELETE FROM tracks WHERE id = ?", [(track.id,) for track in dead])
            details.delete(db, [track.id for track in dead])
            labels.delete(db, [track.id for track in dead])
            db.executemany(
                "UPDATE tracks SET title = ? WHERE id = ?", [(t, id) for id, t in titles.items()]
            )
            write_meta(db, meta)
        self.meta = meta
        for path in gone:
            self._move(path, None)
        for id, title in titles.items():
            self.tracks[id] = changed(self.tracks[id], title=title)
        return dead

    def put_network(self, path: str) -> None:
        """Remember where the file of the network is."""
        with self._transaction() as db:
            add_later_tables(db)
            db.execute("DELETE FROM network")
            db.execute("INSERT INTO network VALUES (?)", (path,))
        self.network = path

    def keep_out(self, files: dict[str, str]) -> None:
        """Remember files, as paths and content, that are not to be added again."""
        with self._transaction() as db:
            add_later_tables(db)
            db.executemany("INSERT OR REPLACE INTO kept_out VALUES (?, ?)", files.items())
        self.kept_out.update(files)

    def let_in(self, path: str, content_hash: str) -> None:
        """Forget that a file, and others of the same content, are to be kept out."""
        same = [p for p, content in self.kept_out.items() if content == content_hash or p == path]
        if same:
            with self._transaction() as db:
                db.executemany("DELETE FROM kept_out WHERE path = ?", [(p,) for p in same])
            for p in same:
                del self.kept_out[p]

    def _titles_without(self, gone: set[str], tracks: list[int]) -> dict[int, str]:
        """New titles of the tracks whose title was the name of a file that is ``gone``."""
        titles = {}
        for id in tracks:
            left = [path for path in self._paths[id] if path not in gone]
            if left and self.tracks[id].title_from_name:
                titles[id] = title_of_name(Path(left[0]))
        return titles

    def put_tags(self, track: Track, tags: Tags) -> Track:
        """Replace the texts of a track; returns it."""
        texts = {n: getattr(tags, n) for n in ("title", "artist", "album", "licence", "source")}
        more = details.of_tags(tags)
        with self._transaction() as db:
            db.execute(
                "UPDATE tracks SET title=?, artist=?, album=?, licence=?, source=? WHERE id=?",
                (*texts.values(), track.id),
            )
            details.write(db, track.id, track.content_hash, more)
        self.details[track.id] = more
        self.tracks[track.id] = changed(self.tracks[track.id], **texts, **more._asdict())
        return self.tracks[track.id]

    def put_labels(self, track: Track, found: Labels) -> None:
        """Store what a track sounds like, instead of what was stored before."""
        with self._transaction() as db:
            labels.write(db, track.id, track.content_hash, found)
        self.labels[track.id] = found

    def put_checksums(self, checksums: dict[int, int]) -> None:
        """Record the checksums of tracks that had none."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE tracks SET crc32 = ? WHERE id = ?",
                [(checksum, track) for track, checksum in checksums.items()],
            )
        self.checksums.update(checksums)

    def renumber(self, firsts: dict[int, int], rows: int) -> None:
        """Record the new first rows of all tracks, in the file of the next generation."""
        meta = changed(self.meta, rows=rows, generation=self.meta.generation + 1)
        with self._transaction() as db:
            db.executemany(
                "UPDATE tracks SET first = ? WHERE id = ?",
                [(first, track) for track, first in firsts.items()],
            )
            write_meta(db, meta)
        self.meta = meta
        self.tracks = {id: changed(track, first=firsts[id]) for id, track in self.tracks.items()}

    def _move(self, path: str, file: File | None) -> None:
        """Note in memory what ``path`` holds now; drop a track that has no file left."""
        previous = self.files.pop(path, None)
        if previous is not None:
            left = self._paths[previous.track]
            left.remove(path)
        if file is not None:
            self.files[path] = file
            self._paths.setdefault(file.track, []).append(path)
        if previous is not None:
            if left:  # a track's path is that of its first file
                self.tracks[previous.track] = changed(self.tracks[previous.track], path=left[0])
            else:
                del self._paths[previous.track]
                del self._by_hash[self.tracks.pop(previous.track).content_hash]
                del self.checksums[previous.track]
                self.labels.pop(previous.track, None)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with explain_errors(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            self.changed = True
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has rolled back itself
                    self._db.execute("ROLLBACK")
                raise
