"""The results of many recordings in a folder: one name for each, and which are there already."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafprint import files
from grafprint.audio.folders import Failure, audio_files
from grafprint.errors import DataError
from grafprint.library.add_file import shown
from grafprint.scan import Scan, export

# A result is written under a longer name first: NAME.partial.json.partial of 255 bytes at most.
_LONGEST_NAME = 255 - len(".partial.json.partial")


@dataclass(frozen=True)
class Recording:
    """A recording, and the path of its results below the output folder, without endings."""

    path: Path
    output: Path


def recordings(
    places: Iterable[Path], failed: list[Failure], passed_over: list[Failure] | None = None
) -> list[Recording]:
    """The audio files at ``places``, files and folders, each once and with an output of its own.

    Results keep the folders below a place; files of one name in several places keep those below the
    folder that holds them all. Unreadable folders are added to ``failed``, files that are no audio
    to ``passed_over``.
    """
    found: dict[str, Recording] = {}
    for place in places:
        inside = place if place.is_dir() else place.parent
        files_there = audio_files(place, failed, passed_over) if place.is_dir() else [place]
        for path in files_there:
            key = os.path.realpath(path)
            found.setdefault(key, Recording(path, path.relative_to(inside)))
    counts = Counter(recording.output for recording in found.values())
    twice = [key for key, one in found.items() if counts[one.output] > 1]
    if twice:
        common = os.path.commonpath([os.path.dirname(key) for key in twice])
        for key in twice:
            found[key] = Recording(found[key].path, Path(os.path.relpath(key, common)))
    return [
        Recording(one.path, one.output.with_name(_short(one.output.name))) for one in found.values()
    ]


class Outputs:
    """A folder of results: NAME.json and the other formats of :mod:`grafprint.scan.export`."""

    def __init__(self, folder: Path, speeds: Sequence[float] = ()) -> None:
        """``speeds``: the other speeds that are tried, without which a result is not finished."""
        self.folder = folder
        self.speeds = tuple(speeds)

    def path(self, recording: Recording, ending: str) -> Path:
        """The file of a recording's results with this ending."""
        output = self.folder / recording.output
        return output.with_name(f"{output.name}.{ending}")

    def state(self, recording: Recording) -> Path:
        """The file for the state of an interrupted scan, in a folder that exists.

        Raises WriteError if the folder cannot be made.
        """
        state = self.path(recording, "partial.json")
        with files.writing(state):
            state.parent.mkdir(parents=True, exist_ok=True)
        return state

    def finished(self, recording: Recording) -> bool:
        """Whether the result is there, and of this recording as it is now, at all speeds.

        Raises DataError if it is the result of another recording, which still exists.
        """
        result = self.path(recording, "json")
        try:
            whole = json.loads(result.read_text(encoding="utf-8"))
            stored, tried = whole["file"], set(whole.get("other_speeds", ()))
            theirs = str(stored["path"])
        except (OSError, ValueError, KeyError, TypeError):  # none, damaged, or of version 2.0.0
            return not self.speeds and _is_newer(result, recording.path)
        ours = _facts(recording.path)
        if theirs != ours["path"] and os.path.exists(theirs):
            raise DataError(
                f"{result} is the result of {theirs}: choose another folder with --out, or scan "
                "the folder that holds both"
            )
        return {**stored, "path": ours["path"]} == ours and tried.issuperset(self.speeds)

    def read(self, recording: Recording) -> Scan:
        """The result that is there. Raises DataError if it cannot be read."""
        path = self.path(recording, "json")
        try:
            return Scan.of_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the result {path} cannot be read: delete it to scan the recording again"
            ) from error

    def write(self, recording: Recording, found: Scan) -> None:
        """Write a result in every format. Raises WriteError."""
        facts = {**found.to_json(), "file": _facts(recording.path)}
        if self.speeds:
            facts["other_speeds"] = self.speeds
        texts = {ending: write(found) for ending, write in export.ENDINGS.items()}
        # The last one: it marks the recording as finished.
        texts["json"] = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
        for ending, text in texts.items():
            files.replace_text(self.path(recording, ending), text)


def _facts(path: Path) -> dict[str, Any]:
    """What tells a recording from others, and from what it was before."""
    status = path.stat()
    name = shown(Path(os.path.abspath(path)))
    return {"path": name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _is_newer(result: Path, recording: Path) -> bool:
    try:
        json.loads(result.read_text(encoding="utf-8"))["entries"]
        return result.stat().st_mtime >= recording.stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _short(name: str) -> str:
    """The name, or its beginning and a hash if with an ending it were too long for a file."""
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(encoded).hexdigest()[:8]
    # "ignore": a cut character is dropped.
    return encoded[: _LONGEST_NAME - 9].decode("utf-8", "ignore") + "-" + mark
