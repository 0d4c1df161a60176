"""``grafprint library duplicates``: tracks that are the same music, in whole or in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    JsonOption,
    clock,
    escape,
    finite,
    out,
    print_json,
)
from grafprint.cli.place import LibraryOption
from grafprint.cli.progress import progress
from grafprint.cli.tables import table, title_of

if TYPE_CHECKING:
    from grafprint.library import Track
    from grafprint.matching.duplicates import Shared


def duplicates(
    library: LibraryOption = BUNDLED_LIBRARY,
    seconds: Annotated[
        float,
        typer.Option(
            min=1.0,
            callback=finite,
            help="Shortest part in common. Shorter tracks must agree throughout.",
        ),
    ] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """List tracks that are the same music at the same speed, and equal files.

    Other encodings, edits and versions, and tracks that share a loop: most in common first.
    """
    from grafprint.matching.duplicates import find_shared
    from grafprint.remote.opening import open_library

    with open_library(library) as opened, progress() as bar:
        tracks = opened.tracks()
        copies = {track: opened.catalogue.paths_of(track.id) for track in tracks}
        copies = {track: paths for track, paths in copies.items() if len(paths) > 1}
        task = bar.add_task("comparing", total=len(tracks))
        found = find_shared(
            opened,
            tracks,
            shortest_s=seconds,
            on_progress=lambda done: bar.update(task, completed=done),
        )
    if as_json:
        equal = [{"track": t.id, "title": t.title, "paths": paths} for t, paths in copies.items()]
        print_json({"shared": [shared.to_json() for shared in found], "equal_files": equal})
    else:
        _show(found, copies)


def _show(found: list[Shared], copies: dict[Track, list[str]]) -> None:
    if found:
        columns = ("track", "at", "shares with", "at", "length", "of the longer", "similarity")
        rows = [
            (
                f"{shared.first.id} {_name(shared.first)}",
                clock(shared.first_start_s),
                f"{shared.second.id} {_name(shared.second)}",
                clock(shared.second_start_s),
                clock(shared.duration_s),
                f"{100 * shared.share:.0f} %",
                f"{shared.similarity:.2f}",
            )
            for shared in found
        ]
        out.print(table(columns, rows))
    for track, paths in copies.items():
        line = f"equal files of {track.id} {_name(track)}: {escape(', '.join(paths))}"
        out.print(line, highlight=False, soft_wrap=True)
    if not found and not copies:
        out.print("no two tracks have music in common")


def _name(track: Track) -> str:
    artist = f" [dim]{escape(track.artist)}[/]" if track.artist else ""
    return title_of(track) + artist
