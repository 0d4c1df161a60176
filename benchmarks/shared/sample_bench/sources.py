"""What queries and library of the bench are made of: songs, recordings, drums, speech."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.stems.songs import read_rows
from assets.stems.trackers import Row
from grafprint.audio.folders import audio_files
from grafprint.errors import DataError
from grafprint.training.stem_bank import MIX, read_stem_table

RECORDINGS = 64  # that are references
# Packages of the test recordings whose music is in no library: it is laid over samples, and the
# loops of empty queries are of it.
HELD_OUT = ("ardentryst", "freecol", "lordsawar-data", "redeclipse-data", "starfighter-data",
            "wordwarvi-sound")  # fmt: skip
_DRUMS = {
    "kick": re.compile(r"(^|[_ -])(bd|kick|drum_bass)", re.IGNORECASE),
    "snare": re.compile(r"(^|[_ -])sn(are)?($|[_ -])", re.IGNORECASE),
    "hat": re.compile(r"(^|[_ -])(hat|hh|hihat|cymbal_closed|cymbal_pedal)", re.IGNORECASE),
}
_LOOP = re.compile(r"^loop", re.IGNORECASE)


@dataclass(frozen=True)
class Song:
    """A song that can be sampled; a recording has no ``stems``, and no ``rows``."""

    name: str
    package: str
    mix: Path
    stems: tuple[Path, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Sources:
    """Everything that the bench is made of.

    ``songs`` (with stems) and ``recordings`` are the references, ``distractors`` are beside them in
    the library, by name. ``held_out`` are in no library. ``drums`` are single hits by instrument.
    """

    songs: list[Song]
    recordings: list[Song]
    held_out: list[Song]
    distractors: dict[str, Path]
    drums: dict[str, list[Path]]
    speech: list[Path]

    def library(self) -> dict[str, Path]:
        """The files of the library by name; references have their songs' names."""
        files = {song.name: song.mix for song in (*self.songs, *self.recordings)}
        return files | self.distractors

    def digest(self) -> str:
        """The same for the same sources: names and sizes of all files."""
        songs = (*self.songs, *self.recordings, *self.held_out)
        paths = [path for song in songs for path in (song.mix, *song.stems)]
        paths += [
            *self.distractors.values(),
            *self.speech,
            *(p for hits in self.drums.values() for p in hits),
        ]
        text = "\n".join(sorted(f"{path.parent.name}/{path.name} {path.stat().st_size}"
                                for path in paths))  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def find_sources(
    stems: Path,
    music: Path,
    distractors: Path | None,
    drums: Path,
    speech: Path,
    held_out: tuple[str, ...] = HELD_OUT,
    recordings: int = RECORDINGS,
    seed: int = 0,
    split: str = "test",
) -> Sources:
    """Find them all, and draw the recordings that are references.

    ``stems`` has the table of ``python -m assets.stems``: its songs of ``split``.
    ``music`` are recordings that no network was trained with, ``distractors`` any others; of these,
    those of the songs' packages are left out, as they may be the same music. Raises DataError if
    something is missing.
    """
    songs = stem_songs(stems, split)
    found = [recording(path, music) for path in audio_files(music, [])]
    sampled = {song.package for song in songs}
    apart = [song for song in found if song.package in held_out]
    rest = [song for song in found if song.package not in held_out and not _of(song.mix, sampled)]
    for missing, where in ((apart, f"of the packages {', '.join(held_out)}"), (rest, "of others")):
        if len(missing) < 2:
            raise DataError(f"{music}: at least two recordings {where} are needed (PACKAGE__NAME)")
    order = np.random.default_rng([seed, 1]).permutation(len(rest))
    chosen = sorted(order[:recordings].tolist())
    others = {rest[n].name: rest[n].mix for n in sorted(order[recordings:].tolist())}
    if distractors:
        keep_out = sampled | set(held_out)
        others |= {
            f"distractors/{path.relative_to(distractors).as_posix()}": path
            for path in audio_files(distractors, [])
            if not _of(path, keep_out)
        }
    return Sources(
        songs, [rest[n] for n in chosen], apart, others, find_drums(drums), find_speech(speech)
    )


def stem_songs(folder: Path, split: str = "test") -> list[Song]:
    """The songs of a split of ``stems.csv`` that have at least two stems."""
    table = folder / "stems.csv"
    files: dict[str, dict[str, Path]] = {}
    for file, stem in read_stem_table(table, split):
        files.setdefault(file.track, {})[stem] = file.path
    songs = []
    for name, stems in files.items():
        mix = stems.pop(MIX)
        if len(stems) > 1:
            rows, package = tuple(read_rows(mix.parent)), name.partition("/")[0]
            songs.append(Song(name, package, mix, tuple(stems.values()), rows))
    if not songs:
        raise DataError(f"{table}: it has no songs of the split {split} with two stems or more")
    return songs


def recording(path: Path, folder: Path) -> Song:
    """A whole recording; its package is in its name (PACKAGE__NAME.opus), or its folder's name."""
    package, separator, _ = path.name.partition("__")
    name = f"music/{path.relative_to(folder).as_posix()}"
    return Song(name, package if separator else path.parent.name, path)


def find_drums(folder: Path) -> dict[str, list[Path]]:
    """Single hits of kick, snare and closed hi-hat, known by their names; loops are left out."""
    files = [path for path in audio_files(folder, []) if not _LOOP.match(path.stem)]
    found = {name: [path for path in files if pattern.search(path.stem)]
             for name, pattern in _DRUMS.items()}  # fmt: skip
    if missing := [name for name, hits in found.items() if not hits]:
        raise DataError(f"{folder}: no file there is named like a {' or a '.join(missing)}")
    return found


def find_speech(folder: Path) -> list[Path]:
    """Files of speech."""
    if not (files := audio_files(folder, [])):
        raise DataError(f"{folder}: there is no audio in it, which should be speech")
    return files


def _of(path: Path, packages: set[str]) -> bool:
    """Whether a recording is of a package: modules rendered have its name in theirs."""
    return any(package in path.name for package in packages)
