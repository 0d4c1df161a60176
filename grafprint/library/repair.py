"""Recover the intact tracks of a damaged library: ``grafprint library repair``."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from grafprint import files
from grafprint.errors import LibraryError
from grafprint.library.catalogue import Catalogue
from grafprint.library.folder import BACKUP, CATALOGUE, INDEX, LOCK, is_intact, vectors_name
from grafprint.library.index import row_index
from grafprint.library.lock import WriterLock
from grafprint.library.records import Track
from grafprint.library.vectors import VectorStore


@dataclass(frozen=True)
class Repaired:
    """The result of a repair: tracks ``kept`` and ``lost``.

    ``from_backup``: the database was damaged and is restored to the end of the last write that
    finished. Tracks added after that are lost too, but not listed in ``lost``.
    """

    kept: list[Track]
    lost: list[Track]
    from_backup: bool


def repair(path: str | os.PathLike[str]) -> Repaired:
    """Keep the intact tracks, from the database or, if that is damaged, from its backup.

    Lost tracks are removed, so that indexing their files again restores them. The index is rebuilt
    at the next search. Does no harm to an intact library.

    Raises LibraryError if there is nothing to recover, another program is writing to the library,
    or the disk is full.
    """
    path = Path(path).resolve()
    if not (path / CATALOGUE).exists() and not (path / BACKUP).exists():
        raise LibraryError(f"there is no library in {path}: name another folder")
    with WriterLock(path / LOCK):
        from_backup = False
        try:
            catalogue = Catalogue(path / CATALOGUE, writable=True)
        except LibraryError as failure:
            _restore(path, failure)
            catalogue, from_backup = Catalogue(path / CATALOGUE, writable=True), True
        with closing(catalogue):
            lost = _lost(path, catalogue)
            if lost:
                catalogue.remove_files(p for track in lost for p in catalogue.paths_of(track.id))
            row_index.delete(path / INDEX)
            catalogue.back_up(path / BACKUP)
            return Repaired(list(catalogue.tracks.values()), lost, from_backup)


def _restore(path: Path, failure: LibraryError) -> None:
    """Replace the database with its backup, if that is intact."""
    try:
        Catalogue(path / BACKUP, writable=False)
    except LibraryError:
        raise LibraryError(
            f"{failure}; its backup is damaged or missing, too: index the music into a new library"
        ) from failure
    for journal in path.glob(f"{CATALOGUE}-*"):  # SQLite would apply it to the restored database
        journal.unlink()

    def copy(partial: Path) -> None:
        shutil.copyfile(path / BACKUP, partial)

    files.replace(path / CATALOGUE, copy)


def _lost(path: Path, catalogue: Catalogue) -> list[Track]:
    """The tracks whose fingerprints are missing or not as stored.

    If the file is too short, it is filled up with zeros, so that all rows exist.
    """
    meta = catalogue.meta
    file = path / vectors_name(meta.generation)
    with files.writing(file), file.open("ab") as opened:
        present = opened.tell() // (2 * meta.dim)
        if present < meta.rows:
            opened.truncate(meta.rows * 2 * meta.dim)
    with closing(VectorStore(file, meta.dim, meta.rows, writable=True)) as vectors:
        return [
            track
            for track in catalogue.tracks.values()
            if track.first + track.count > present or not is_intact(track, catalogue, vectors)
        ]
