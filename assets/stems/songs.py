"""A song's folder: its mix, its stems and its rows, written once; and the table of all songs."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from assets.stems.trackers import Row
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError
from grafprint.files import replace_text

MIX = "mix"
TABLE = "stems.csv"
COLUMNS = ("song", "stem", "package", "split", "duration_s", "level_db", "file")
_DONE = "song.json"
_QUIET_DB = -40.0  # below its song's mix, a stem counts as silent
_PEAK = 0.9


@dataclass(frozen=True, eq=False)
class Song:
    """A song before it is written. ``stems`` yields names and sounds ``[n]``, one at a time."""

    name: str
    package: str
    split: str
    mix: np.ndarray
    stems: Iterable[tuple[str, np.ndarray]] = ()
    rows: list[Row] = field(default_factory=list)


def is_written(out: Path, package: str, name: str) -> bool:
    """Whether the song has been written whole."""
    return (out / package / name / _DONE).is_file()


def write_song(out: Path, song: Song) -> int:
    """Write a song; its stems that are not silent keep their levels, and get the mix's length.

    Returns the number of stems. A song that was interrupted is written anew. Raises DataError if
    the mix is silent.
    """
    if not len(song.mix) or rms_db(song.mix) < -80:
        raise DataError(f"{song.name}: it is silent")
    folder = out / song.package / song.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # A stem can be louder than its mix, so there is room for that.
    gain = _PEAK / 2 / float(np.abs(song.mix).max())
    entries = [_write(out, song, MIX, gain * song.mix)]
    for name, sound in song.stems:
        sound = _fitted(sound, len(song.mix))
        if rms_db(sound) >= rms_db(song.mix) + _QUIET_DB:
            entries.append(_write(out, song, name, gain * sound))
    contents = {"stems": entries, "rows": [asdict(row) for row in song.rows]}
    replace_text(folder / _DONE, json.dumps(contents))
    return len(entries) - 1


def _fitted(sound: np.ndarray, length: int) -> np.ndarray:
    """A stem as long as its mix: silent after its end, or cut."""
    return np.pad(sound[:length], (0, max(0, length - len(sound))))


def _write(out: Path, song: Song, stem: str, sound: np.ndarray) -> dict[str, str | float]:
    path = out / song.package / song.name / f"{stem}.flac"
    write_flac(path, sound)
    return {
        "song": song.name,
        "stem": stem,
        "package": song.package,
        "split": song.split,
        "duration_s": round(len(sound) / SAMPLE_RATE, 3),
        "level_db": round(rms_db(sound), 1),
        "file": path.relative_to(out).as_posix(),
    }


def read_rows(folder: Path) -> list[Row]:
    """When the rows of a song that has been written begin; none if it is no tracker module."""
    contents = json.loads((folder / _DONE).read_text(encoding="utf-8"))
    return [Row(**row) for row in contents["rows"]]


def write_table(out: Path) -> int:
    """Write ``stems.csv`` of all songs that are whole; returns the number of its rows."""
    out.mkdir(parents=True, exist_ok=True)
    entries = [
        entry
        for done in _songs(out)
        for entry in json.loads(done.read_text(encoding="utf-8"))["stems"]
    ]
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(entries)
    replace_text(out / TABLE, text.getvalue())
    return len(entries)


def _songs(out: Path) -> Iterator[Path]:
    yield from sorted(out.glob(f"*/*/{_DONE}"))


def rms_db(sound: np.ndarray) -> float:
    """Level in dB relative to a full-scale square wave."""
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12))


def write_flac(path: Path, sound: np.ndarray) -> None:
    """Write mono samples ``[n]`` at 16 kHz as 16-bit FLAC; beyond +-1 they are clipped."""
    whole = np.clip(np.round(32767 * sound), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for begin in range(0, len(whole), SAMPLE_RATE):
            piece = np.ascontiguousarray(whole[None, begin : begin + SAMPLE_RATE])
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, begin
            frame.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
