"""Save what is left of a damaged library: ``grafprint library repair``."""

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
    """What a repair found: tracks ``kept`` and ``lost``.

    ``from_backup``: the database was damaged, and is now as it was at the end of the last write
    that finished; what was added after that is lost, too, and not among ``lost``.
    """

    kept: list[Track]
    lost: list[Track]
    from_backup: bool


def repair(path: str | os.PathLike[str]) -> Repaired:
    """Make a library of the tracks that are whole, from its database or that one's backup.

    Lost tracks are forgotten, so that indexing their files again brings them back. The index is
    made anew at the next search. Does no harm to a library that is well.

    Raises LibraryError if there is nothing to make a library of, another program is writing to it,
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
    """Put the backup in the database's place, if it is well."""
    try:
        Catalogue(path / BACKUP, writable=False)
    except LibraryError:
        raise LibraryError(
            f"{failure}; its backup is damaged or missing, too: index the music into a new library"
        ) from failure
    for rest in path.glob(f"{CATALOGUE}-*"):  # of the damaged one: it would be played back
        rest.unlink()

    def copy(partial: Path) -> None:
        shutil.copyfile(path / BACKUP, partial)

    files.replace(path / CATALOGUE, copy)


def _lost(path: Path, catalogue: Catalogue) -> list[Track]:
    """The tracks whose fingerprints are missing or not what was stored.

    Missing ones at the end become zeros, so that all rows are there.
    """
    meta = catalogue.meta
    file = path / vectors_name(meta.generation)
    with files.writing(file), file.open("ab") as opened:
        has = opened.tell() // (2 * meta.dim)
        if has < meta.rows:
            opened.truncate(meta.rows * 2 * meta.dim)
    with closing(VectorStore(file, meta.dim, meta.rows, writable=True)) as vectors:
        return [
            track
            for track in catalogue.tracks.values()
            if track.first + track.count > has or not is_intact(track, catalogue, vectors)
        ]
