"""Write texts into the tags of audio files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import mutagen
from mutagen.id3 import ID3, TALB, TDRC, TIT2, TPE1, TSRC, TXXX, UFID
from mutagen.mp4 import MP4

from grafprint import files
from grafprint.audio import decoding

# The names of the fields in ID3, in MP4, and in the formats with free names (Vorbis, APE).
_ID3 = {"title": TIT2, "artist": TPE1, "album": TALB, "year": TDRC, "isrc": TSRC}
_MP4 = {"title": "©nam", "artist": "©ART", "album": "©alb", "year": "©day"}
_FREE = {
    "year": "date",
    "musicbrainz_recording": "musicbrainz_trackid",
    "musicbrainz_release": "musicbrainz_albumid",
    "musicbrainz_artist": "musicbrainz_artistid",
}
_BRAINZ = {
    "musicbrainz_recording": "MusicBrainz Track Id",
    "musicbrainz_release": "MusicBrainz Album Id",
    "musicbrainz_artist": "MusicBrainz Artist Id",
}


def write(path: Path, texts: dict[str, str]) -> None:
    """Add texts to the tags of a file, by the names of the fields of ``metadata.Tags``.

    The file is replaced atomically by a copy with these tags; its sound is copied as it is. Raises
    AudioError if its format has no tags that can be written, WriteError if the disk refuses.
    """

    def write_copy(partial: Path) -> None:
        shutil.copy2(path, partial)
        try:
            file = mutagen.File(partial)
            if file is None or type(file).__name__ in ("ASF", "AAC", "AC3", "SMF"):
                raise mutagen.MutagenError("no tags can be written to this format")
            if file.tags is None:
                file.add_tags()
            _set(file, texts)
            file.save()
        except (mutagen.MutagenError, NotImplementedError, ValueError, TypeError) as failure:
            reason = f"its tags cannot be written ({failure})"
            raise decoding.error(path, reason, "convert it to FLAC or MP3") from None

    files.replace(path, write_copy)


def _set(file: Any, texts: dict[str, str]) -> None:
    tags = file.tags
    for field, text in texts.items():
        if isinstance(tags, ID3):
            if field == "musicbrainz_recording":
                tags.add(UFID(owner="http://musicbrainz.org", data=text.encode()))
            elif field in _ID3:
                tags.add(_ID3[field](encoding=3, text=text))
            else:
                tags.add(TXXX(encoding=3, desc=_BRAINZ[field], text=text))
        elif isinstance(file, MP4):
            if field in _MP4:
                file[_MP4[field]] = text
            else:
                name = _BRAINZ.get(field, field.upper())
                file[f"----:com.apple.iTunes:{name}"] = text.encode()
        else:
            file[_FREE.get(field, field)] = text
