"""``grafprint library``: inspect and change a library."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    FAILED,
    JsonOption,
    clock,
    escape,
    finite,
    out,
    print_json,
    print_text,
)
from grafprint.cli.copying import copy, reindex
from grafprint.cli.duplicates import duplicates
from grafprint.cli.place import LibraryOption, OwnLibraryOption
from grafprint.cli.tables import table, title_of
from grafprint.cli.track_tags import sounding_like, tag, tags_json, tags_text
from grafprint.errors import ConfigError, LibraryError

if TYPE_CHECKING:
    from grafprint.library import Track
    from grafprint.remote.opening import AnyLibrary

_RESTORE = (
    "restore a damaged database from a backup of its own, or remove damaged tracks and index their "
    "files again"
)

commands = typer.Typer(
    help="Inspect or change a library.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands.command()(duplicates)
    commands.command()(tag)
    commands.command()(copy)
    commands.command()(reindex)
    app.add_typer(commands, name="library")


@commands.command("list")
def list_tracks(
    library: LibraryOption = BUNDLED_LIBRARY,
    search: Annotated[
        str | None,
        typer.Option(help="Only tracks with these words in their texts.", show_default=False),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            help="Only tracks that sound like this, the likeliest first: a label of `library tag`, "
            "such as Piano. May be given several times: those that have them all.",
            show_default=False,
        ),
    ] = None,
    least: Annotated[
        float, typer.Option(min=0, max=1, callback=finite, help="Lowest probability of a --tag.")
    ] = 0.2,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV table for programs.")] = False,
) -> None:
    """List the tracks of a library, with what they sound like if they have been tagged."""
    from grafprint.remote.opening import open_library

    if as_json and as_csv:
        raise ConfigError("--json and --csv exclude each other: give one")
    with open_library(library) as opened:
        tracks = opened.tracks(search)
        if tags:
            tracks = sounding_like(opened, tracks, tags, least)
        else:
            tracks.sort(key=lambda t: (t.title.casefold(), t.id))
        if as_json:
            # The key is there if the library has tags at all: without, nothing is known.
            known = opened.has_labels
            print_json([
                asdict(t) | ({"tags": tags_json(opened, t)} if known else {}) for t in tracks
            ])  # fmt: skip
            return
        if as_csv:
            _print_as_csv(opened, tracks)
            return
        columns = ("number", "title", "artist", "album", "length", "licence", "sounds like")
        rows = [
            (str(t.id), title_of(t), escape(t.artist), escape(t.album), clock(t.duration_s),
             escape(t.licence), tags_text(opened, t)) for t in tracks
        ]  # fmt: skip
    out.print(table(columns, rows))


def _print_as_csv(library: AnyLibrary, tracks: list[Track]) -> None:
    """A row for each track; its tags are one cell, as JSON has them, joined by semicolons."""
    text = io.StringIO()
    names = ("id", "path", "title", "artist", "album", "year", "duration_s", "licence", "source")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*names, "tags"])
    for track in tracks:
        tags = ";".join(f"{label}:{p:g}" for label, p in library.labels_of(track).items())
        rows.writerow([*(getattr(track, name) for name in names), tags])
    print_text(text.getvalue())


@commands.command()
def info(library: LibraryOption = BUNDLED_LIBRARY, as_json: JsonOption = False) -> None:
    """Show the size of a library, and the network that made it."""
    from grafprint.remote.opening import open_library

    with open_library(library) as opened:
        tracks, duration_s, tagged = opened.totals()
        fingerprints, model_id, hop_s = len(opened), opened.model_id, opened.hop_s
        stored = opened.catalogue.network
        network = None if stored is None else str(opened.located(stored))
        kept_out = [str(opened.located(path)) for path in opened.catalogue.kept_out]
        size = opened.size_bytes()
    hours = duration_s / 3600
    if as_json:
        facts = {
            "path": opened.location, "tracks": tracks, "hours": round(hours, 3),
            "fingerprints": fingerprints, "hop_s": hop_s, "bytes": size, "model_id": model_id,
            "network": network, "kept_out": kept_out, "tagged": tagged,
        }  # fmt: skip
        print_json(facts)
        return
    out.print(
        f"{tracks} tracks, {hours:.2f} hours, {fingerprints} fingerprints (one every "
        f"{1000 * hop_s:g} ms), {size / 1e6:.1f} MB; made by network {model_id}"
        + (f" ({escape(network)})" if network else "")
        + (f"; {tagged} tracks are tagged" if tagged else ""),
        highlight=False,
    )
    for path in kept_out:
        out.print(f"kept out: {escape(path)}", highlight=False, soft_wrap=True)


@commands.command()
def remove(
    number: Annotated[list[int], typer.Argument(help="Numbers from `library list`.")],
    library: OwnLibraryOption,
    keep_out: Annotated[
        bool,
        typer.Option(
            "--keep-out",
            help="Leave them out, too, when their folder is indexed again. To take one back, "
            "index the file itself.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove tracks from a library. Their audio files are kept."""
    from grafprint.remote.opening import open_library

    with open_library(library, writable=True) as opened:
        for track_id in number:  # all or none
            opened.track(track_id)
        removed = [opened.remove(n, keep_out=keep_out) for n in dict.fromkeys(number)]
    if as_json:
        print_json([asdict(track) for track in removed])
        return
    for track in removed:
        out.print(f"removed: {title_of(track)}", highlight=False)


@commands.command()
def compact(library: OwnLibraryOption, as_json: JsonOption = False) -> None:
    """Free the space of removed tracks."""
    from grafprint.remote.opening import open_library

    with open_library(library, writable=True) as opened:
        freed = opened.compact()
    if as_json:
        print_json({"freed": freed})
        return
    out.print(f"{freed} fingerprints of removed tracks deleted", highlight=False)


@commands.command()
def check(library: LibraryOption = BUNDLED_LIBRARY, as_json: JsonOption = False) -> None:
    """Read all of a library and report damage."""
    from grafprint.library.row_store import REPAIR
    from grafprint.remote.opening import open_library

    with open_library(library) as opened:  # finds other kinds of damage
        damaged, tracks = opened.damaged(), opened.totals().tracks
        index_is_damaged = opened.index_is_damaged()
        remedy = opened.index_remedy
    if as_json:
        print_json(
            {
                "tracks": tracks,
                "damaged": [asdict(track) for track in damaged],
                "index_is_damaged": index_is_damaged,
            }
        )
        if damaged or index_is_damaged:
            raise typer.Exit(FAILED)
        return
    for track in damaged:
        out.print(f"damaged: {title_of(track)}", highlight=False, soft_wrap=True)
    if damaged:
        remedy = REPAIR if isinstance(library, Path) else _RESTORE
        raise LibraryError(f"{len(damaged)} of {tracks} tracks are damaged: {remedy}")
    if index_is_damaged:
        raise LibraryError(f"the search index is damaged: {remedy}")
    out.print(f"{tracks} tracks, all as they were written", highlight=False)


@commands.command("repair")
def repair_library(library: OwnLibraryOption, as_json: JsonOption = False) -> None:
    """Repair a damaged library: remove the tracks that are lost. Index them again afterwards."""
    from grafprint.library.repair import repair

    if not isinstance(library, Path):
        raise LibraryError(
            f"{library} is on a server: {_RESTORE}. Make a damaged index again with `grafprint "
            "library reindex`"
        )
    done = repair(library)
    if as_json:
        print_json(
            {
                "kept": len(done.kept),
                "lost": [asdict(track) for track in done.lost],
                "from_backup": done.from_backup,
            }
        )
        return
    for track in done.lost:
        line = f"lost: {track.title} ({track.path})"
        out.print(escape(line), highlight=False, soft_wrap=True)
    restored = ", from the backup of the database" if done.from_backup else ""
    out.print(f"{len(done.kept)} tracks kept, {len(done.lost)} lost{restored}", highlight=False)
