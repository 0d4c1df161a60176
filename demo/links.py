"""Addresses within the page: ?tab=map&library=mine opens a tab with a library, or a find."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs, urlencode


@dataclass(frozen=True)
class Find:
    """A track of a library and a second of it, to be shown again."""

    library: str
    track: int
    at_s: float


@dataclass(frozen=True)
class Link:
    """What an address asks for; None where it says nothing."""

    tab: str | None = None
    library: str | None = None
    find: Find | None = None


def read(query: str, home: str) -> Link:
    """The link in the query of an address. What is malformed counts as missing.

    ``home`` is the library of a find whose address names none.
    """
    values = {name: texts[0] for name, texts in parse_qs(query.removeprefix("?")).items()}
    library = values.get("library")
    find = None
    try:
        track, at_s = int(values.get("track", "")), float(values.get("at", "0"))
        if math.isfinite(at_s) and 0 < track < 1 << 63:
            find = Find(library or home, track, at_s)
    except ValueError:
        pass
    return Link("identify" if find else values.get("tab"), library, find)


def address(tab: str, library: str = "", track: int | None = None, at_s: float = 0.0) -> str:
    """The address of a tab, perhaps with a library and a find, relative to the page."""
    values: dict[str, str | int] = {"tab": tab}
    if library:
        values["library"] = library
    if track is not None:
        values |= {"track": track, "at": f"{at_s:.1f}"}
    return "?" + urlencode(values)


def to_tab(tab: str, words: str) -> str:
    """A link to another tab as HTML; shell.js opens the tab without loading the page again."""
    return f'<a href="{escape(address(tab))}" data-tab="{escape(tab)}">{escape(words)}</a>'
