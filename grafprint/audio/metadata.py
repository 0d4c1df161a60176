"""Title, artist, album, licence and source of a recording, from the tags in its file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

import mutagen

# What the tag formats call each field: Vorbis comments and APE, ID3, MP4, ASF. First found, taken.
_NAMES = {
    "title": ("title", "tit2", "©nam"),
    "artist": ("artist", "tpe1", "©art", "author"),
    "album": ("album", "talb", "©alb", "wm/albumtitle"),
    "licence": (
        *("license", "licence", "txxx:license", "txxx:licence", "wcop", "copyrighturl"),
        *("----:com.apple.itunes:license", "wm/licenseurl"),
    ),
    "source": (
        *("source", "txxx:source", "----:com.apple.itunes:source", "website", "woaf", "woas"),
        *("woar", "wm/audiofileurl", "wm/authorurl", "copyright", "tcop", "cprt"),
    ),
}
_LONGEST = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """Texts from a file; empty where it has none, but the title is then the file's name.

    ``licence`` is a name or an address; ``source`` is where the recording comes from (an address),
    or failing that its copyright notice.
    """

    title: str
    artist: str
    album: str
    licence: str
    source: str


def read(path: Path) -> Tags:
    """The tags of an audio file; unreadable ones count as none (the sound may be fine)."""
    try:
        file = mutagen.File(path)
        found = dict(file.tags or {}) if file is not None else {}
    except Exception as failure:  # damaged tags raise nearly anything, and are no reason to stop
        _log.warning("%s: its tags cannot be read (%s)", path, failure)
        found = {}
    # ID3 appends a language or an address to some names: "WOAR:https://..".
    texts = {str(name).lower(): value for name, value in found.items()}
    texts |= {name.split(":")[0]: value for name, value in texts.items() if name.startswith("wo")}
    fields = {
        field: next((text for name in names if (text := _text(texts.get(name)))), "")
        for field, names in _NAMES.items()
    }
    fields["title"] = fields["title"] or _text(path.stem)
    return Tags(**fields)


def _text(value: object) -> str:
    """One line of text of a tag's value in any format."""
    if value is None:
        return ""
    if hasattr(value, "url"):  # ID3's addresses
        value = value.url
    if hasattr(value, "text"):  # ID3's texts
        value = value.text
    values = value if isinstance(value, list | tuple) else [value]
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    plain = "".join(" " if category(c) == "Cc" else c for c in "; ".join(texts)[: 4 * _LONGEST])
    line = " ".join(plain.split())
    return line.encode("utf-8", "replace").decode()[:_LONGEST]
