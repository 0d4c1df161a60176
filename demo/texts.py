"""Words and tables of the page: times, counts, names and rights as HTML."""

from __future__ import annotations

import json
from html import escape

from grafprint.library import Track

MOST_LISTED = 500  # browsers cannot show a table of a hundred thousand rows


def clock(seconds: float) -> str:
    """Seconds as m:ss, with a minus sign before a track's beginning."""
    whole = abs(round(seconds))
    return f"{'−' if round(seconds) < 0 else ''}{whole // 60}:{whole % 60:02d}"


def count(number: int, what: str) -> str:
    """A number with its noun: 1 track, 2,000 tracks."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def confident(confidence: float) -> str:
    """A probability in words."""
    return "Over 99.9 % confident" if confidence > 0.999 else f"{100 * confidence:.1f} % confident"


def problem_note(sentence: str) -> str:
    """The value of a drawn component that has nothing to draw: the reason."""
    return json.dumps({"note": sentence[:1].upper() + sentence[1:] + "."})


def licence(name: str) -> str:
    """A licence for display: SPDX's prefix for unlisted licences is removed."""
    prefix = "LicenseRef-"
    if name.startswith(prefix):
        return name.removeprefix(prefix).replace("-", " ").capitalize()
    return name


def named(track: Track) -> str:
    """Title and artist of a track for a cell of a table."""
    return f'{escape(track.title)}<span class="by">{escape(track.artist)}</span>'


def stated_rights(track: Track) -> str:
    """Licence and source of a track in a line."""
    stated = escape(licence(track.licence)) or "not stated"
    return " · ".join(filter(None, (stated, source_link(track))))


def source_link(track: Track) -> str:
    """A link to the track's source, if that is a web address: tags can contain anything."""
    if not track.source.startswith(("http://", "https://")):
        return escape(track.source)
    host = track.source.split("/")[2].removeprefix("www.") or "source"
    return (
        f'<a href="{escape(track.source)}" target="_blank" rel="noopener noreferrer">'
        f"{escape(host)}</a>"
    )


def table(head: str, rows: str) -> str:
    """A table with the cells of its head and its rows."""
    return f'<table class="gp"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
