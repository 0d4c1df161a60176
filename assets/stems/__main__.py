"""Write songs as stems, each a FLAC file at 16 kHz, and a table of them, ``stems.csv``.

    python -m assets.stems OUT --modules PACKAGES --libopenmpt FILE
    python -m assets.stems OUT --songs FOLDER --mixes FOLDER

Interrupted, it continues with the first song that is not whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from assets.stems.songs import Song, is_written, write_song, write_table
from assets.stems.trackers import SUFFIXES, Trackers
from grafprint import audio
from grafprint.audio.folders import audio_files
from grafprint.errors import DataError, GraFPrintError

# Songs of one package sound alike: the split is by package. All others are for training.
TEST_PACKAGES = frozenset({"heroes-sound-tracks", "freedroid-data", "pekka-kana-2-data"})
VALID_PACKAGES = frozenset({"gl-117-data", "njam-data", "penguin-command", "rockdodger"})
_WHOLE = ("mix", "mixture")  # a song's file that holds all stems


def main(
    out: Annotated[Path, typer.Argument(help="Folder for songs and table.")],
    modules: Annotated[
        Path | None, typer.Option(help="Folder of unpacked packages, each with tracker modules.")
    ] = None,
    libopenmpt: Annotated[Path | None, typer.Option(help="The library's file, .so.")] = None,
    songs: Annotated[
        Path | None, typer.Option(help="Folder of songs: one folder each, a file per stem.")
    ] = None,
    mixes: Annotated[Path | None, typer.Option(help="Folder of whole recordings.")] = None,
) -> None:
    """Write every song that is not written yet, then the table."""
    try:
        if modules:
            if libopenmpt is None:
                raise DataError("modules are played by libopenmpt: name its file, --libopenmpt")
            write_all(out, modules_below(modules, Trackers(libopenmpt)))
        if songs:
            write_all(out, songs_below(songs))
        if mixes:
            write_all(out, mixes_below(mixes))
        typer.echo(f"{write_table(out)} rows in {out / 'stems.csv'}")
    except GraFPrintError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


Found = Iterator[tuple[str, str, Callable[[], Song]]]


def write_all(out: Path, found: Found) -> None:
    """Write songs given as package, name and how to get them; report those that cannot be."""
    for package, name, get in found:
        if is_written(out, package, name):
            continue
        try:
            typer.echo(f"{package}/{name}: {write_song(out, get())} stems")
        except DataError as error:
            typer.echo(f"left out: {error}", err=True)
        except audio.AudioError as error:
            typer.echo(f"left out: {error}", err=True)


def modules_below(folder: Path, trackers: Trackers) -> Found:
    """The tracker modules in each package, which is a folder below ``folder``.

    A file that is in two packages counts once.
    """
    seen = set()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES or path.is_symlink() or not path.is_file():
            continue
        contents = hashlib.sha256(path.read_bytes()).digest()
        if contents in seen:
            continue
        seen.add(contents)
        package = path.relative_to(folder).parts[0]
        # With the suffix: a.mod and a.xm are two songs.
        yield (
            package,
            path.name,
            lambda path=path, package=package: module(  # type: ignore[misc]
                path, package, trackers
            ),
        )


def module(path: Path, package: str, trackers: Trackers) -> Song:
    """A tracker module: a stem for each channel, and when its rows begin."""
    mix, rows = trackers.mix(path)

    def stems() -> Iterator[tuple[str, np.ndarray]]:
        for number in range(trackers.channels(path)):
            yield f"channel {number + 1:02d}", trackers.channel(path, number)

    return Song(path.name, package, split_of_package(package), mix, stems(), rows)


def songs_below(folder: Path) -> Found:
    """Songs of which each is a folder with a file per stem, as in MUSDB18."""
    for song in sorted({path.parent for path in audio_files(folder, [])}):
        yield folder.name, song.name, lambda song=song: of_folder(song, folder)  # type: ignore[misc]


def of_folder(song: Path, root: Path) -> Song:
    """A song from its files; their sum is the mix if none is named ``mix`` or ``mixture``."""
    files = {path.stem: audio.load(path) for path in sorted(audio_files(song, []))}
    whole = [files.pop(name) for name in _WHOLE if name in files]
    if not whole:
        longest = max(len(sound) for sound in files.values())
        whole = [sum(np.pad(s, (0, longest - len(s))) for s in files.values())]  # type: ignore[list-item]
    return Song(song.name, root.name, split_of(song.relative_to(root)), whole[0], files.items())


def mixes_below(folder: Path) -> Found:
    """Whole recordings, without stems."""
    for path in sorted(audio_files(folder, [])):
        yield (
            folder.name,
            path.stem,
            lambda path=path: Song(  # type: ignore[misc]
                path.stem, folder.name, split_of(path.relative_to(folder)), audio.load(path)
            ),
        )


def split_of_package(package: str) -> str:
    """Whether a package's songs are for ``train``, ``valid`` or ``test``."""
    if package in TEST_PACKAGES:
        return "test"
    return "valid" if package in VALID_PACKAGES else "train"


def split_of(path: Path) -> str:
    """``test`` or ``valid`` below a folder of that name, else ``train``."""
    return next((name for name in ("test", "valid") if name in path.parts[:-1]), "train")


if __name__ == "__main__":
    typer.run(main)
