"""A find as the page keeps it: an entry of the history, a link to share, and its sound."""

from __future__ import annotations

import logging
import math
import secrets
from html import escape
from typing import Any

from demo import cards, covers, links
from demo.clips import Clip, ClipError, from_track, wav_uri
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint.library import LibraryError, Track
from grafprint.matching import Match
from grafprint.remote.opening import AnyLibrary

REPLAY_S = 10.0

_log = logging.getLogger(__name__)


def entry(library: str, match: Match, clip: Clip) -> dict[str, Any]:
    """An identified clip as the plain values that the history keeps; the page adds the time.

    ``key`` is random: it tells two equal finds apart.
    """
    track = match.track
    return {
        "key": secrets.token_hex(8),
        "title": track.title,
        "artist": track.artist,
        "album": track.album,
        "library": library,
        "track": track.id,
        "start_s": round(match.start_s, 2),
        "duration_s": round(track.duration_s, 2),
        "confidence": round(match.confidence, 4),
        "score": round(match.score, 4),
        "clip": clip.name,
        "link": links.address("identify", library, track.id, max(0.0, match.start_s)),
    }


def replay(studio: Studio, wanted: Any) -> dict[str, str]:
    """The track of a find from its moment on: ``sound`` as a data URI, or else a ``problem``.

    Called from the page with ``library``, ``track`` and ``start_s``; anybody can post anything.
    """
    try:
        name, number, start_s = wanted["library"], wanted["track"], wanted["start_s"]
        if not isinstance(name, str) or type(number) is not int:
            raise TypeError
        start_s = float(start_s)
        if not math.isfinite(start_s):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        return {"problem": "the page sent something that is no find: reload it"}
    try:
        library = studio.identifier(name).library
        track = library.track(number)
        start_s = min(max(0.0, start_s), max(0.0, track.duration_s - 1))
        return {"sound": wav_uri(from_track(library, track, start_s, REPLAY_S).samples)}
    except (LibraryError, ClipError, OverflowError) as error:
        return {"problem": str(error)}


def picture(library: AnyLibrary, track: Track) -> str:
    """The cover of a track as HTML, if its file is there and has one."""
    uri = covers.cover(library.audio_path(track))
    return f'<img class="gp-cover" src="{uri}" alt="Cover of {escape(track.title)}">' if uri else ""


def footer(find: dict[str, Any]) -> str:
    """Links of a find's card: to share it, and to what the other tabs show of the clip."""
    elsewhere = " · ".join(
        links.to_tab(tab, words)
        for tab, words in (("degrade", "Degrade it"), ("graph", "Graph"), ("map", "Map"))
    )
    address = escape(find["link"])
    return (
        f'<div class="gp-links"><a href="{address}" data-copy="{address}">Copy a link to this find'
        f"</a> · {elsewhere}</div>"
    )


def shared(identifier: Identifier, find: links.Find) -> tuple[str, tuple[int, Any] | None]:
    """The card of a find that an address leads to, and the track's sound from there on."""
    try:
        track = identifier.library.track(find.track)
    except (LibraryError, OverflowError):
        gone = f"The track of this link is not in the library “{find.library}”."
        return cards.problem(gone), None
    at_s = min(max(0.0, find.at_s), max(0.0, track.duration_s - 1))
    card = cards.shared(track, at_s, picture(identifier.library, track))
    try:
        return card, from_track(identifier.library, track, at_s, 2 * REPLAY_S).playable()
    except ClipError as error:
        _log.warning("the track of a link cannot be played: %s", error)
        return card, None
