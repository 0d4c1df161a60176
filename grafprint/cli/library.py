"""``grafprint index`` and ``grafprint library``: build a collection, look at it, change it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    FAST_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    clock,
    err,
    escape,
    load_fingerprinter,
    out,
    print_json,
)

commands = typer.Typer(help="Look at a library or change it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(index)
    app.add_typer(commands, name="library")


def index(
    folder: Annotated[Path, typer.Argument(help="Music: a folder, or one file.")],
    library: Annotated[Path, typer.Option("--library", "-l", help="Folder of the library.")],
    model: ModelOption = BUNDLED_MODEL,
    fast: Annotated[
        bool, typer.Option("--fast", help="Several times as fast, and nearly as good.")
    ] = False,
    device: DeviceOption = "cpu",
    prune: Annotated[
        bool, typer.Option(help="Remove tracks whose files are gone from the folder.")
    ] = False,
    factory: Annotated[
        str | None, typer.Option(help="FAISS index of a new library. Default: chosen by size.")
    ] = None,
) -> None:
    """Add a folder of music to a library, or bring the library up to date.

    What has not changed is skipped. It can be interrupted at any time and run again.
    """
    from grafprint.library import Library

    if fast and model != BUNDLED_MODEL:
        raise ValueError("--fast is of the bundled network: name your own fast one with --model")
    fingerprinter = load_fingerprinter(FAST_MODEL if fast else model, device)
    if (library / "library.sqlite3").is_file():
        opened = Library.open(library, model_id=fingerprinter.model_id, writable=True)
    else:
        opened = Library.create(library, fingerprinter, factory=factory)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TextColumn("{task.fields[heard]}"), TimeElapsedColumn())  # fmt: skip
    with opened, Progress(*columns, console=err) as bar:
        task = bar.add_task("indexing", total=None, heard="")

        def on_progress(file: str, done: int, total: int, audio_s: float) -> None:
            # After the last one the index is made, which takes minutes in a large library.
            doing = escape(Path(file).name[:40]) if done < total else "finishing"
            bar.update(
                task, completed=done, total=total, heard=f"{clock(audio_s)} of audio",
                description=doing,
            )  # fmt: skip

        report = opened.add_folder(folder, fingerprinter, on_progress, prune=prune)
        tracks, fingerprints = len(opened.tracks()), len(opened)
    for path in report.missing:
        verb = "removed" if path in report.removed else "no longer there (--prune removes it)"
        out.print(escape(f"{path}: {verb}"), highlight=False, soft_wrap=True)
    out.print(
        f"{len(report.added)} added, {len(report.updated)} updated, "
        f"{len(report.unchanged)} unchanged, {len(report.duplicates)} duplicates, "
        f"{len(report.failed)} left out; the library has {tracks} tracks, "
        f"{fingerprints} fingerprints",
        highlight=False,
        soft_wrap=True,
    )
    for failure in report.failed:
        out.print(escape(f"left out: {failure.reason}"), highlight=False, soft_wrap=True)


@commands.command("list")
def list_tracks(
    library: LibraryOption = BUNDLED_LIBRARY,
    search: Annotated[str | None, typer.Option(help="Only tracks with these words.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the tracks of a library, or those whose texts hold some words."""
    from grafprint.library import Library

    with Library.open(library) as opened:
        tracks = opened.tracks(search)
    tracks.sort(key=lambda t: (t.title.casefold(), t.id))
    if as_json:
        print_json([asdict(track) for track in tracks])
        return
    view = Table("number", "title", "artist", "album", "length", "licence")
    for t in tracks:
        texts = (escape(text) for text in (t.title, t.artist, t.album))
        view.add_row(str(t.id), *texts, clock(t.duration_s), escape(t.licence))
    out.print(view)


@commands.command()
def info(library: LibraryOption = BUNDLED_LIBRARY) -> None:
    """Say how large a library is and which network made it."""
    from grafprint.library import Library

    with Library.open(library) as opened:
        tracks = opened.tracks()
        fingerprints, model_id, hop_s = len(opened), opened.model_id, opened.hop_s
    size = sum(file.stat().st_size for file in library.iterdir() if file.is_file())
    hours = sum(track.duration_s for track in tracks) / 3600
    out.print(
        f"{len(tracks)} tracks, {hours:.2f} hours, {fingerprints} fingerprints (one every "
        f"{1000 * hop_s:g} ms), {size / 1e6:.1f} MB; made by network {model_id}",
        highlight=False,
    )


@commands.command()
def remove(
    number: Annotated[list[int], typer.Argument(help="Numbers from `library list`.")],
    library: Annotated[Path, typer.Option("--library", "-l", help="Folder of the library.")],
) -> None:
    """Remove tracks from a library. Their audio files stay."""
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
        for track_id in number:
            track = opened.remove(track_id)
            out.print(escape(f"removed: {track.title}"), highlight=False)


@commands.command()
def compact(
    library: Annotated[Path, typer.Option("--library", "-l", help="Folder of the library.")],
) -> None:
    """Give back the space of removed tracks."""
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
        freed = opened.compact()
    out.print(f"{freed} fingerprints of removed tracks deleted", highlight=False)


@commands.command()
def check(library: LibraryOption = BUNDLED_LIBRARY) -> None:
    """Read all of a library and say whether it is as it was written."""
    from grafprint.library import Library, LibraryError
    from grafprint.library.folder import INDEX
    from grafprint.library.vectors import REPAIR

    with Library.open(library) as opened:  # which finds damage of other kinds
        damaged, tracks = opened.damaged(), len(opened.tracks())
        index_is_damaged = opened.index_is_damaged()
    for track in damaged:
        out.print(escape(f"damaged: {track.title}"), highlight=False, soft_wrap=True)
    if damaged:
        raise LibraryError(f"{len(damaged)} of {tracks} tracks are damaged: {REPAIR}")
    if index_is_damaged:
        raise LibraryError(
            f"the search index is damaged: delete {opened.path / INDEX}, it will be made anew"
        )
    out.print(f"{tracks} tracks, all as they were written", highlight=False)


@commands.command("repair")
def repair_library(
    library: Annotated[Path, typer.Option("--library", "-l", help="Folder of the library.")],
) -> None:
    """Save what is left of a damaged library. Index the music again to bring back what is lost."""
    from grafprint.library.repair import repair

    done = repair(library)
    for track in done.lost:
        line = f"lost: {track.title} ({track.path})"
        out.print(escape(line), highlight=False, soft_wrap=True)
    restored = ", from the backup of the database" if done.from_backup else ""
    out.print(f"{len(done.kept)} tracks kept, {len(done.lost)} lost{restored}", highlight=False)
