"""Tables of tracks, in which two of them can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.table import Table

from grafprint.cli.console import escape

if TYPE_CHECKING:
    from grafprint.library import Track


def title_of(track: Track) -> str:
    """A track's title as markup; without artist and album also the end of its path.

    Every disc has an untagged 01.wav.
    """
    title = escape(track.title)
    if track.artist or track.album:
        return title
    place = "/".join(PurePath(track.path).parts[-2:])
    return f"{title} [dim]({escape(place)})[/]"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> Table:
    """A table of cells in markup, without the named columns that are empty throughout."""
    kept = [
        number
        for number, column in enumerate(columns)
        if not column or not rows or any(row[number] for row in rows)
    ]
    view = Table(*(columns[number] for number in kept), title=title, title_justify="left")
    for row in rows:
        view.add_row(*(row[number] for number in kept))
    return view
