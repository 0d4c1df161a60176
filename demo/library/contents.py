"""The tracks of a library as a table that plays them, sorts them and removes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from demo.texts import MOST_LISTED, clock, named, stated_rights, table
from grafprint.library import Track

# By what the table of a library's tracks can be sorted. What is equal stays in order of addition.
ORDERS: dict[str, Callable[[Track], Any]] = {
    "title": lambda track: track.title.casefold(),
    "artist": lambda track: track.artist.casefold(),
    "album": lambda track: track.album.casefold(),
    "licence": lambda track: track.licence.casefold(),
    "length": lambda track: track.duration_s,
}


def contents(tracks: Iterable[Track], order: str = "title", removable: bool = False) -> str:
    """The tracks of a library as a table with at most MOST_LISTED rows.

    ``order`` is a key of ORDERS, with "-" before it for falling. Rows have a button to play the
    track and, if ``removable``, one to remove it; the heads of columns sort.
    """
    key, falling = order.removeprefix("-"), order.startswith("-")
    ordered = sorted(tracks, key=ORDERS[key], reverse=falling)
    rows = "".join(_row(track, removable) for track in ordered[:MOST_LISTED])
    end = '<th class="n"><span class="gp-hidden">Remove</span></th>' if removable else ""
    head = (
        '<th><span class="gp-hidden">Play</span></th>'
        f"{_sorting(order, title='Track', artist='Artist')}"
        f"{_sorting(order, 'wide', album='From')}"
        f"{_sorting(order, 'wide', licence='Licence and source')}"
        f"{_sorting(order, 'n', length='Length')}{end}"
    )
    rest = len(ordered) - MOST_LISTED
    more = f'<div class="gp-small">and {rest} more; search to find them</div>' if rest > 0 else ""
    return (
        '<div class="gp-list" tabindex="0" role="region" aria-label="Tracks">'
        f"{table(head, rows)}{more}</div>"
    )


def _row(track: Track, removable: bool) -> str:
    title = escape(track.title)
    remove = (
        f'<td class="do"><button type="button" data-remove="{track.id}" '
        f'aria-label="Remove {title}">✕</button></td>'
        if removable
        else ""
    )
    return (
        f'<tr><td class="do"><button type="button" data-play="{track.id}" '
        f'aria-label="Play {title}">▶</button></td>'
        f'<td>{named(track)}<span class="by narrow">{stated_rights(track)}</span></td>'
        f'<td class="wide">{escape(track.album)}</td><td class="wide">{stated_rights(track)}</td>'
        f'<td class="n">{clock(track.duration_s)}</td>{remove}</tr>'
    )


def _sorting(order: str, css_class: str = "", **keys: str) -> str:
    """The head of a column, with a button for each of the ``keys`` by which it sorts."""
    key, falling = order.removeprefix("-"), order.startswith("-")
    sorted_by = f' aria-sort="{"de" if falling else "a"}scending"' if key in keys else ""
    arrow = f'<span aria-hidden="true">{"▼" if falling else "▲"}</span>'
    buttons = " ".join(
        f'<button type="button" data-sort="{name}">{text}{arrow if name == key else ""}</button>'
        for name, text in keys.items()
    )
    return f'<th class="{css_class}"{sorted_by}>{buttons}</th>'
