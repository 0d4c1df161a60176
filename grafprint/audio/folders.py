"""Find audio files in folders: one rule for hidden files, links and unreadable folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grafprint import audio
from grafprint.audio.signatures import begins_like_audio
from grafprint.errors import LibraryError

# ".DS_Store", "._song.mp3", ".git", ".Trash-1000"; but not "...And Justice" or ".38 Special".
_HIDDEN = re.compile(r"\.[A-Za-z_@~#]")
# What lies beside music and is nothing to be indexed: pictures, texts, playlists, databases.
_COMPANIONS = frozenset(
    f".{ending}"
    for endings in (
        "jpg jpeg png gif webp bmp tif tiff svg heic psd pdf txt nfo log md rtf doc docx htm html",
        "xml json jsonl csv tsv yaml yml ini cfg toml cue m3u m3u8 pls xspf asx wpl lrc srt vtt",
        "md5 sfv sha256 ffp st5 accurip db sqlite sqlite3 itl musiclibrary torrent url lnk webloc",
        "mid midi kar mat npy npz py sh js css zip rar gz tar 7z part tmp bak safetensors",
    )
    for ending in endings.split()
)


class Failure(NamedTuple):
    """A file or folder that was left out, and why."""

    path: str
    reason: str


def audio_files(
    folder: Path, failed: list[Failure], passed_over: list[Failure] | None = None
) -> list[Path]:
    """All audio files that :func:`walk` finds, sorted; or ``folder`` itself if it is a file.

    A file counts as audio by its ending; with an unknown ending or none, by its first bytes.
    Unreadable folders are added to ``failed``. Hidden audio files, hidden folders, and files of
    unknown kinds are added to ``passed_over``; what usually lies beside music, such as pictures
    and texts, is not. Raises LibraryError if there is no such folder.
    """
    if not folder.exists():
        raise LibraryError(f"there is no folder or file {folder}: name one that holds music")
    if not folder.is_dir():
        return [folder]
    passed_over = [] if passed_over is None else passed_over
    found = []
    for file in walk(folder, failed, passed_over):
        suffix = file.suffix.lower()
        if suffix in audio.AUDIO_SUFFIXES or (
            suffix not in _COMPANIONS and begins_like_audio(file)
        ):
            found.append(file)
        elif suffix not in _COMPANIONS and file.is_file():
            passed_over.append(Failure(str(file), "it is not audio of a format that is supported"))
    passed_over.sort()
    return sorted(found)


def walk(
    folder: Path, failed: list[Failure], passed_over: list[Failure] | None = None
) -> Iterator[Path]:
    """Every file below ``folder`` that is not hidden, nor in a hidden folder.

    Hidden is what begins with a dot and a letter or an underscore. Links are followed, but each
    folder is read once only. Unreadable folders are added to ``failed``, hidden folders and hidden
    audio files to ``passed_over``.
    """

    def note_unreadable(error: OSError) -> None:
        failed.append(Failure(str(error.filename), f"cannot read it: {error.strerror}"))

    def note_hidden(place: str, name: str, kind: str) -> None:
        if passed_over is not None and not name.startswith("._"):  # macOS's resource forks
            reason = f"the {kind} is hidden, as its name begins with a dot; rename it to use it"
            passed_over.append(Failure(os.path.join(place, name), reason))

    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, onerror=note_unreadable, followlinks=True):
        entered = []
        for name in sorted(folders):
            target = os.path.realpath(os.path.join(place, name))
            if _HIDDEN.match(name):
                note_hidden(place, name, "folder")
            elif target not in seen:
                seen.add(target)
                entered.append(name)
        folders[:] = entered
        for name in names:
            if not _HIDDEN.match(name):
                yield Path(place, name)
            elif os.path.splitext(name)[1].lower() in audio.AUDIO_SUFFIXES:
                note_hidden(place, name, "file")
