"""Read title, artist, album, licence and source of a recording from the tags in its file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

import mutagen

# Names of each field in Vorbis comments and APE, ID3, MP4 and ASF. The first one present is used.
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
    """Texts from a file; empty where it has none, except that the title is then the file's name.

    ``licence`` is a name or a URL; ``source`` is the URL that the recording comes from, or else its
    copyright notice.
    """

    title: str
    artist: str
    album: str
    licence: str
    source: str


def read(path: Path) -> Tags:
    """Read the tags of an audio file; unreadable ones count as none."""
    try:
        file = mutagen.File(path)
        tags = dict(file.tags or {}) if file is not None else {}
    except Exception as failure:  # damaged tags raise nearly anything; the audio may be fine
        _log.warning("%s: its tags cannot be read (%s)", path, failure)
        tags = {}
    # ID3 appends a language or a URL to some names: "WOAR:https://..".
    texts = {str(name).lower(): value for name, value in tags.items()}
    texts |= {name.split(":")[0]: value for name, value in texts.items() if name.startswith("wo")}
    fields = {
        field: next((text for name in names if (text := _text(texts.get(name)))), "")
        for field, names in _NAMES.items()
    }
    fields["title"] = fields["title"] or _text(path.stem)
    return Tags(**fields)


def _text(value: object) -> str:
    """The value of a tag in any format, as one line of text."""
    if value is None:
        return ""
    if hasattr(value, "url"):  # an ID3 URL frame
        value = value.url
    if hasattr(value, "text"):  # an ID3 text frame
        value = value.text
    values = value if isinstance(value, list | tuple) else [value]
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    plain = "".join(" " if category(c) == "Cc" else c for c in "; ".join(texts)[: 4 * _LONGEST])
    line = " ".join(plain.split())
    return line.encode("utf-8", "replace").decode()[:_LONGEST]
