"""``grafprint index`` and ``grafprint library``: build, inspect and change a library."""

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
    OwnLibraryOption,
    clock,
    err,
    escape,
    load_fingerprinter,
    out,
    print_json,
)
from grafprint.errors import ConfigError

_PASSED_OVER = 20  # lines about files that were passed over

commands = typer.Typer(help="Inspect or change a library.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(index)
    app.add_typer(commands, name="library")


def index(
    folder: Annotated[Path, typer.Argument(help="Folder of music, or one file.")],
    library: OwnLibraryOption,
    model: ModelOption = BUNDLED_MODEL,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Use the fast network: about 8 times as fast, almost the same hit rate."
        ),
    ] = False,
    device: DeviceOption = "cpu",
    prune: Annotated[
        bool, typer.Option(help="Remove tracks whose files are no longer in the folder.")
    ] = False,
    factory: Annotated[
        str | None,
        typer.Option(
            help="FAISS factory string for the index of a new library, such as IVF1024,PQ32. "
            "Default: chosen by size.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Add a folder of music to a library, or update the library.

    Unchanged files are skipped. Interrupt it at any time, and run it again to continue.
    """
    from grafprint.library import Library
    from grafprint.library.add_file import shown

    if fast and model != BUNDLED_MODEL:
        raise ConfigError("--fast is the bundled fast network: give your own with --model alone")
    fingerprinter = load_fingerprinter(FAST_MODEL if fast else model, device)
    if (library / "library.sqlite3").is_file():
        opened = Library.open(library, model_id=fingerprinter.model_id, writable=True)
    else:
        opened = Library.create(library, fingerprinter, factory=factory)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[audio]}"),
        TimeElapsedColumn(),
    )
    with opened, Progress(*columns, console=err) as bar:
        task = bar.add_task("indexing", total=None, audio="")

        def on_progress(file: str, done: int, total: int, audio_s: float) -> None:
            # After the last file the index is built, which takes minutes in a large library.
            name = escape(Path(file).name[:40]) if done < total else "finishing"
            audio = f"{clock(audio_s)} of audio"
            bar.update(task, completed=done, total=total, audio=audio, description=name)

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
    for path, reason in report.passed_over[:_PASSED_OVER]:
        line = f"passed over: {shown(Path(path))}: {reason}"
        out.print(escape(line), highlight=False, soft_wrap=True)
    if (more := len(report.passed_over) - _PASSED_OVER) > 0:
        out.print(f"passed over: {more} more", highlight=False)


@commands.command("list")
def list_tracks(
    library: LibraryOption = BUNDLED_LIBRARY,
    search: Annotated[
        str | None,
        typer.Option(help="Only tracks with these words in their texts.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the tracks of a library."""
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
    """Show the size of a library, and the network that made it."""
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
    library: OwnLibraryOption,
) -> None:
    """Remove tracks from a library. Their audio files are kept."""
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
        for track_id in number:
            track = opened.remove(track_id)
            out.print(escape(f"removed: {track.title}"), highlight=False)


@commands.command()
def compact(
    library: OwnLibraryOption,
) -> None:
    """Free the space of removed tracks."""
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
        freed = opened.compact()
    out.print(f"{freed} fingerprints of removed tracks deleted", highlight=False)


@commands.command()
def check(library: LibraryOption = BUNDLED_LIBRARY) -> None:
    """Read all of a library and report damage."""
    from grafprint.library import Library, LibraryError
    from grafprint.library.folder import INDEX
    from grafprint.library.vectors import REPAIR

    with Library.open(library) as opened:  # finds other kinds of damage
        damaged, tracks = opened.damaged(), len(opened.tracks())
        index_is_damaged = opened.index_is_damaged()
    for track in damaged:
        out.print(escape(f"damaged: {track.title}"), highlight=False, soft_wrap=True)
    if damaged:
        raise LibraryError(f"{len(damaged)} of {tracks} tracks are damaged: {REPAIR}")
    if index_is_damaged:
        raise LibraryError(
            f"the search index is damaged: delete {opened.path / INDEX}, and it will be rebuilt"
        )
    out.print(f"{tracks} tracks, all as they were written", highlight=False)


@commands.command("repair")
def repair_library(
    library: OwnLibraryOption,
) -> None:
    """Repair a damaged library: remove the tracks that are lost. Index them again afterwards."""
    from grafprint.library.repair import repair

    done = repair(library)
    for track in done.lost:
        line = f"lost: {track.title} ({track.path})"
        out.print(escape(line), highlight=False, soft_wrap=True)
    restored = ", from the backup of the database" if done.from_backup else ""
    out.print(f"{len(done.kept)} tracks kept, {len(done.lost)} lost{restored}", highlight=False)
