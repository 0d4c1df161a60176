"""Write songs as stems, each a FLAC file at 16 kHz, and a table of them, ``stems.csv``.

    python -m assets.stems OUT --modules PACKAGES --libopenmpt FILE
    python -m assets.stems OUT --midi PACKAGES --font FILE
    python -m assets.stems OUT --songs FOLDER --mixes FOLDER

Interrupted, it continues with the first song that is not whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from assets.stems.find import Found, midi_below, mixes_below, modules_below, songs_below
from assets.stems.midi import MidiPlayer
from assets.stems.songs import is_written, write_song, write_table
from assets.stems.trackers import Trackers
from grafprint import audio
from grafprint.errors import DataError, GraFPrintError


def main(
    out: Annotated[Path, typer.Argument(help="Folder for songs and table.")],
    modules: Annotated[
        Path | None, typer.Option(help="Folder of unpacked packages, each with tracker modules.")
    ] = None,
    libopenmpt: Annotated[Path | None, typer.Option(help="The library's file, .so.")] = None,
    midi: Annotated[
        Path | None, typer.Option(help="Folder of unpacked packages, each with MIDI files.")
    ] = None,
    font: Annotated[Path | None, typer.Option(help="A sound font for MIDI files, .sf2.")] = None,
    songs: Annotated[
        Path | None, typer.Option(help="Folder of songs: one folder each, a file per stem.")
    ] = None,
    mixes: Annotated[Path | None, typer.Option(help="Folder of whole recordings.")] = None,
) -> None:
    """Write every song that is not written yet, then the table."""
    taken: Counter[tuple[str, str]] = Counter()
    try:
        if modules:
            if libopenmpt is None:
                raise DataError("modules are played by libopenmpt: name its file, --libopenmpt")
            write_all(out, modules_below(modules, Trackers(libopenmpt)), taken)
        if midi:
            if font is None:
                raise DataError("MIDI files need a sound font: name its file, --font")
            write_all(out, midi_below(midi, MidiPlayer(font)), taken)
        if songs:
            write_all(out, songs_below(songs), taken)
        if mixes:
            write_all(out, mixes_below(mixes), taken)
        typer.echo(f"{write_table(out)} rows in {out / 'stems.csv'}")
    except GraFPrintError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None


def write_all(out: Path, found: Found, taken: Counter[tuple[str, str]]) -> None:
    """Write songs given as package, name and how to get them; report those that cannot be.

    ``taken`` counts names: a second song of a name is ``NAME (2)``.
    """
    for package, name, get in found:
        taken[package, name] += 1
        if (number := taken[package, name]) > 1:
            name += f" ({number})"
        if is_written(out, package, name):
            continue
        try:
            count = write_song(out, replace(get(), name=name))
            typer.echo(f"{package}/{name}: {count} stems")
        except (DataError, audio.AudioError) as error:
            typer.echo(f"left out: {error}", err=True)


if __name__ == "__main__":
    typer.run(main)
