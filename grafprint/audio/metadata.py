"""Read title, artist, album and other texts of a recording from the tags in its file."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

import av
import mutagen

from grafprint.audio import decoding
from grafprint.errors import AudioError

# Names of each field in Vorbis comments and APE, ID3, MP4, ASF and FFmpeg. The first one present is
# used.
_ITUNES, _BRAINZ = "----:com.apple.itunes:", "musicbrainz "
_NAMES = {
    "title": ("title", "tit2", "©nam"),
    "artist": ("artist", "tpe1", "©art", "author", "album_artist", "albumartist", "tpe2", "aart"),
    "album": ("album", "talb", "©alb", "wm/albumtitle"),
    "licence": (
        *("license", "licence", "txxx:license", "txxx:licence", "wcop", "copyrighturl"),
        *(f"{_ITUNES}license", "wm/licenseurl"),
    ),
    "source": (
        *("source", "txxx:source", f"{_ITUNES}source", "website", "woaf", "woas"),
        *("woar", "wm/audiofileurl", "wm/authorurl", "copyright", "tcop", "cprt"),
    ),
    "year": (
        *("originaldate", "originalyear", "tdor", "tory", "wm/originalreleaseyear"),
        *("date", "year", "tdrc", "tyer", "©day", "wm/year", "icrd"),
    ),
    "isrc": ("isrc", "tsrc", f"{_ITUNES}isrc", "wm/isrc"),
    "musicbrainz_recording": (
        *("musicbrainz_trackid", "ufid:http://musicbrainz.org", f"{_ITUNES}{_BRAINZ}track id"),
        *("musicbrainz/track id", f"{_BRAINZ}track id"),
    ),
    "musicbrainz_release": (
        *("musicbrainz_albumid", f"txxx:{_BRAINZ}album id", f"{_ITUNES}{_BRAINZ}album id"),
        *("musicbrainz/album id", f"{_BRAINZ}album id"),
    ),
    "musicbrainz_artist": (
        *("musicbrainz_artistid", f"txxx:{_BRAINZ}artist id", f"{_ITUNES}{_BRAINZ}artist id"),
        *("musicbrainz/artist id", f"{_BRAINZ}artist id"),
    ),
}
_LONGEST = 500
_DISC = re.compile(r"(cd|disc|disk|dvd|side|vol\.?)[ _-]*[0-9a-d]{1,2}$", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """Texts from a file; empty where it has none, except that the title is then the file's name.

    ``licence`` is a name or a URL; ``source`` is the URL that the recording comes from, or else its
    copyright notice. ``year`` has four digits. ``title_from_name``: the title is the file's name.
    """

    title: str
    artist: str
    album: str
    licence: str
    source: str
    year: str = ""
    isrc: str = ""
    musicbrainz_recording: str = ""
    musicbrainz_release: str = ""
    musicbrainz_artist: str = ""
    title_from_name: bool = False


def read(path: Path, root: Path | None = None) -> Tags:
    """Read the tags of an audio file; unreadable ones count as none.

    What the tags lack is taken from FFmpeg, which knows more formats. A file without artist and
    album that lies in ``root`` as Artist/Album/file (or Artist/Album/CD 1/file) gets them from the
    names of these folders.
    """
    tags, failure = _tags(path)
    fields = _fields(tags)
    if not (fields["title"] and fields["artist"] and fields["album"]):
        other = _fields(_ffmpeg_tags(path))
        if failure and not any(other.values()):
            _log.warning("%s: its tags cannot be read (%s)", path, failure)
        fields = {name: text or other[name] for name, text in fields.items()}
    if root is not None and not (fields["artist"] or fields["album"]):
        fields["artist"], fields["album"] = _from_folders(path, root)
    named = not fields["title"]
    fields["title"] = fields["title"] or title_of_name(path)
    return Tags(**fields, title_from_name=named)


def title_of_name(path: Path) -> str:
    """The title of a file that has none in its tags: its name without the ending."""
    return _text(path.stem)


def _tags(path: Path) -> tuple[dict[str, object], Exception | None]:
    """What mutagen reads, and why it could not."""
    try:
        file = mutagen.File(path)
        tags = dict(file.tags or {}) if file is not None else {}
    except Exception as failure:  # damaged tags raise nearly anything; the audio may be fine
        return {}, failure
    return {str(name): value for name, value in tags.items()}, None


def _ffmpeg_tags(path: Path) -> dict[str, object]:
    """What FFmpeg reads: of the sound track, and of the whole file."""
    try:
        with decoding.open_audio(path) as (container, source):
            return {**container.metadata, **source.metadata}
    except (AudioError, av.FFmpegError, OSError, ValueError):
        return {}


def _fields(tags: dict[str, object]) -> dict[str, str]:
    # ID3 appends a language or a URL to some names: "WOAR:https://..".
    texts = {name.lower(): value for name, value in tags.items()}
    texts |= {name.split(":")[0]: value for name, value in texts.items() if name.startswith("wo")}
    fields = {
        field: next((text for name in names if (text := _text(texts.get(name)))), "")
        for field, names in _NAMES.items()
    }
    year = re.search(r"\b[12]\d{3}(?!\d)", fields["year"])
    fields["year"] = year.group() if year else ""
    fields["isrc"] = fields["isrc"].replace("-", "").upper()
    return fields


def _from_folders(path: Path, root: Path) -> tuple[str, str]:
    """Artist and album by the folders between ``root`` and a file; empty if they are others."""
    try:
        places = list(path.relative_to(root).parts[:-1])
    except ValueError:
        return "", ""
    if len(places) == 3 and _DISC.match(places[-1]):
        places.pop()
    return (_text(places[0]), _text(places[1])) if len(places) == 2 else ("", "")


def _text(value: object) -> str:
    """The value of a tag in any format, as one line of text; equal values count once."""
    if value is None:
        return ""
    if hasattr(value, "url"):  # an ID3 URL frame
        value = value.url
    if hasattr(value, "text"):  # an ID3 text frame
        value = value.text
    if hasattr(value, "data") and isinstance(value.data, bytes):  # an ID3 unique file identifier
        value = value.data
    values = value if isinstance(value, list | tuple) else [value]
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
    once = dict.fromkeys(line for text in texts if (line := _line(text)))
    joined = "; ".join(once)
    parts = {part.strip() for part in joined.split(";")}  # FFmpeg joins values itself
    return (parts.pop() if len(parts) == 1 else joined)[:_LONGEST]


def _line(text: str) -> str:
    plain = "".join(" " if category(c) == "Cc" else c for c in text[: 4 * _LONGEST])
    return " ".join(plain.split()).encode("utf-8", "replace").decode()
