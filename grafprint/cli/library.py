"""``grafprint library``: inspect and change a library."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    FAILED,
    JsonOption,
    LibraryOption,
    OwnLibraryOption,
    clock,
    escape,
    out,
    print_json,
)
from grafprint.cli.duplicates import duplicates
from grafprint.cli.tables import table, title_of

commands = typer.Typer(
    help="Inspect or change a library.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands.command()(duplicates)
    app.add_typer(commands, name="library")


@commands.command("list")
def list_tracks(
    library: LibraryOption = BUNDLED_LIBRARY,
    search: Annotated[
        str | None,
        typer.Option(help="Only tracks with these words in their texts.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the tracks of a library."""
    from grafprint.library import Library

    with Library.open(library) as opened:
        tracks = opened.tracks(search)
    tracks.sort(key=lambda t: (t.title.casefold(), t.id))
    if as_json:
        print_json([asdict(track) for track in tracks])
        return
    columns = ("number", "title", "artist", "album", "length", "licence")
    rows = [
        (str(t.id), title_of(t), escape(t.artist), escape(t.album), clock(t.duration_s),
         escape(t.licence)) for t in tracks
    ]  # fmt: skip
    out.print(table(columns, rows))


@commands.command()
def info(library: LibraryOption = BUNDLED_LIBRARY, as_json: JsonOption = False) -> None:
    """Show the size of a library, and the network that made it."""
    from grafprint.library import Library

    with Library.open(library) as opened:
        tracks = opened.tracks()
        fingerprints, model_id, hop_s = len(opened), opened.model_id, opened.hop_s
        stored = opened.catalogue.network
        network = None if stored is None else str(opened.located(stored))
        kept_out = [str(opened.located(path)) for path in opened.catalogue.kept_out]
    size = sum(file.stat().st_size for file in library.iterdir() if file.is_file())
    hours = sum(track.duration_s for track in tracks) / 3600
    if as_json:
        facts = {
            "path": str(opened.path), "tracks": len(tracks), "hours": round(hours, 3),
            "fingerprints": fingerprints, "hop_s": hop_s, "bytes": size, "model_id": model_id,
            "network": network, "kept_out": kept_out,
        }  # fmt: skip
        print_json(facts)
        return
    out.print(
        f"{len(tracks)} tracks, {hours:.2f} hours, {fingerprints} fingerprints (one every "
        f"{1000 * hop_s:g} ms), {size / 1e6:.1f} MB; made by network {model_id}"
        + (f" ({escape(network)})" if network else ""),
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
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
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
    from grafprint.library import Library

    with Library.open(library, writable=True) as opened:
        freed = opened.compact()
    if as_json:
        print_json({"freed": freed})
        return
    out.print(f"{freed} fingerprints of removed tracks deleted", highlight=False)


@commands.command()
def check(library: LibraryOption = BUNDLED_LIBRARY, as_json: JsonOption = False) -> None:
    """Read all of a library and report damage."""
    from grafprint.library import Library, LibraryError
    from grafprint.library.folder import INDEX
    from grafprint.library.row_store import REPAIR

    with Library.open(library) as opened:  # finds other kinds of damage
        damaged, tracks = opened.damaged(), len(opened.tracks())
        index_is_damaged = opened.index_is_damaged()
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
        raise LibraryError(f"{len(damaged)} of {tracks} tracks are damaged: {REPAIR}")
    if index_is_damaged:
        raise LibraryError(
            f"the search index is damaged: delete {opened.path / INDEX}, and it will be rebuilt"
        )
    out.print(f"{tracks} tracks, all as they were written", highlight=False)


@commands.command("repair")
def repair_library(library: OwnLibraryOption, as_json: JsonOption = False) -> None:
    """Repair a damaged library: remove the tracks that are lost. Index them again afterwards."""
    from grafprint.library.repair import repair

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
