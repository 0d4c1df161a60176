"""Tables of truth: which track real recordings are of, and where in it they begin."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grafprint import audio
from grafprint.audio import AudioError
from grafprint.errors import DataError
from grafprint.library import Track
from grafprint.remote.opening import AnyLibrary

ABSENT = ("", "-")  # in the column track: the music is not in the library
REQUIRED = ("clip", "track")


@dataclass(frozen=True)
class Recording:
    """A row of a table of truth.

    ``name`` is the clip as the table names it, ``content_hash`` the SHA-256 of its file. ``track``
    is None for music that is not in the library. The clip begins ``start_s`` into the track; None:
    not known. ``columns`` has all the row's texts by the names of the columns.
    """

    name: str
    path: Path
    content_hash: str
    duration_s: float
    track: Track | None
    start_s: float | None
    columns: Mapping[str, str]


def read_truth(table: str | Path, library: AnyLibrary, by: str | None = None) -> list[Recording]:
    """Read a CSV table of recordings, and decode each of them once to see that it can be used.

    Columns: ``clip``, a path relative to the table; ``track``, the path, title, number or file name
    of a track of the library, or nothing or ``-`` for other music; optionally ``start``, in
    seconds; and any others. Commas, semicolons or tabs separate them.

    Raises DataError, which lists all faults with their lines, if a column (also that of ``by``) is
    missing, a track is not in the library or not the only one, or a clip cannot be read.
    """
    table = Path(table)
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table}: not a readable CSV table ({error})") from error
    header = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=_delimiter(header))
    try:
        columns = [name.strip() for name in rows.fieldnames or []]
        rows.fieldnames = columns
        wanted = [*REQUIRED, *([by] if by else [])]
        if missing := [name for name in wanted if name not in columns]:
            names, have = ", ".join(missing), ", ".join(columns) or "none"
            raise DataError(f"{table}: no column {names}; the columns are: {have}")
        lines = [(rows.line_num, dict(row)) for row in rows]
    except csv.Error as error:
        raise DataError(f"{table} line {rows.line_num}: not CSV ({error})") from error
    if not lines:
        raise DataError(f"{table}: it has no rows below its header")
    reader = _Reader(table.parent, library)
    recordings = [reader.read(line, row) for line, row in lines]
    if reader.faults:
        raise DataError("\n".join([f"{table}: {len(reader.faults)} faults", *reader.faults]))
    return [recording for recording in recordings if recording is not None]


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


class _Reader:
    """Reads rows, and collects what is wrong with them."""

    def __init__(self, folder: Path, library: AnyLibrary) -> None:
        self.folder, self.library, self.tracks = folder, library, library.tracks()
        self.faults: list[str] = []
        self._lines: dict[Path, int] = {}
        self._files = {
            path.resolve(): track
            for track in self.tracks
            if (path := library.audio_path(track)) is not None
        }

    def read(self, line: int, row: dict[str | None, str | list[str] | None]) -> Recording | None:
        """The recording of a row; None after noting its faults."""
        before = len(self.faults)
        if None in row:
            self._note(line, "more fields than the header has columns")
        texts = {
            name: value.strip() if isinstance(value, str) else ""
            for name, value in row.items()
            if name is not None
        }
        path = self.folder / texts["clip"]
        content_hash, duration_s = self._listen(line, texts["clip"], path)
        track = self._track(line, texts["track"])
        start_s = self._start(line, texts.get("start", ""), track)
        if len(self.faults) > before:
            return None
        return Recording(texts["clip"], path, content_hash, duration_s, track, start_s, texts)

    def _note(self, line: int, fault: str) -> None:
        self.faults.append(f"line {line}: {fault}")

    def _listen(self, line: int, name: str, path: Path) -> tuple[str, float]:
        if not name:
            self._note(line, "no clip is named")
            return "", 0.0
        earlier = self._lines.setdefault(path.resolve(), line)
        if earlier != line:
            self._note(line, f"the clip {name} stands on line {earlier} already")
            return "", 0.0
        try:
            duration_s = sum(len(c) for c in audio.stream(path)) / audio.SAMPLE_RATE
            content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        except (AudioError, OSError) as error:
            self._note(line, str(error))
            return "", 0.0
        if duration_s < self.library.window_s:
            self._note(
                line,
                f"{path}: {duration_s:.2f} s long, and at least {self.library.window_s:g} s "
                "is needed",
            )
        return content_hash, duration_s

    def _track(self, line: int, text: str) -> Track | None:
        if text in ABSENT:
            return None
        stored = [track for track in self.tracks if track.path == text]
        if stored:
            return stored[0]
        if (track := self._files.get((self.folder / text).resolve())) is not None:
            return track
        fitting = [t for t in self.tracks if text in (t.title, str(t.id), Path(t.path).name)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            numbers = " and ".join(str(t.id) for t in fitting)
            self._note(line, f"{text} may be the tracks {numbers}: name one by its path")
        else:
            self._note(
                line, f"no track {text} in {self.library.location} (- stands for music that is not)"
            )
        return None

    def _start(self, line: int, text: str, track: Track | None) -> float | None:
        if not text or track is None:
            return None
        try:
            start_s = float(text)
        except ValueError:
            start_s = math.nan
        if not math.isfinite(start_s):
            self._note(line, f"the start is a number of seconds, not {text}")
        elif start_s >= track.duration_s:
            self._note(
                line,
                f"the start, {start_s:g} s, is after the end of the track "
                f"({track.duration_s:.1f} s)",
            )
        return start_s
