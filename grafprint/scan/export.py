"""Export a scan as CSV, as a cue sheet, as labels for Audacity, or as a list of chapters."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from grafprint.scan import Gap, Scan
from grafprint.scan.plays import Play

COLUMNS = (
    "start_s",
    "end_s",
    "title",
    "artist",
    "album",
    "track_start_s",
    "track_end_s",
    "speed",
    "score",
    "alternatives",
)
_CUE_FRAMES = 75  # per second
_CUE_GAP_S = 10.0  # gaps at least this long get a track in the cue sheet


def to_csv(scan: Scan, *, recording: bool = False, header: bool = True) -> str:
    """One row per entry; gaps have an empty title or, if silent, the title ``(silence)``.

    For tables of several scans: ``recording`` adds a first column that says which one a row is of,
    and only the first scan needs the ``header``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("recording", *COLUMNS) if recording else COLUMNS
    if header:
        writer.writerow(columns)
    for entry in scan.entries:
        values = {"recording": scan.path, **entry.to_json()}
        if isinstance(entry, Play):
            values["alternatives"] = "; ".join(track.title for track in entry.alternatives)
        elif entry.silent:
            values["title"] = "(silence)"
        writer.writerow([values.get(column, "") for column in columns])
    return text.getvalue()


def to_cue(scan: Scan) -> str:
    """A cue sheet: where each track begins in the recording (minutes:seconds:frames).

    Tracks of a cue sheet do not overlap: each ends where the next begins. Long gaps become tracks
    called ``Unknown``. At most 99 tracks, which is the format's limit.
    """
    path = Path(scan.path)
    kind = "MP3" if path.suffix.lower() == ".mp3" else "WAVE"
    lines = [f'FILE "{_quoted(path.name)}" {kind}']
    for number, entry in enumerate(_chapters(scan)[:99], 1):
        lines.append(f"  TRACK {number:02d} AUDIO")
        if isinstance(entry, Play):
            lines.append(f'    TITLE "{_quoted(entry.track.title)}"')
            if entry.track.artist:
                lines.append(f'    PERFORMER "{_quoted(entry.track.artist)}"')
        else:
            lines.append('    TITLE "Unknown"')
        start = round((entry.start_s if number > 1 else 0.0) * _CUE_FRAMES)
        seconds, frames = divmod(start, _CUE_FRAMES)
        lines.append(f"    INDEX 01 {seconds // 60:02d}:{seconds % 60:02d}:{frames:02d}")
    return "\n".join(lines) + "\n"


def to_labels(scan: Scan) -> str:
    """A label track for Audacity: start and end in seconds, and the title, of every entry."""
    return "".join(
        f"{entry.start_s:.6f}\t{entry.end_s:.6f}\t{_label(entry)}\n" for entry in scan.entries
    )


def to_chapters(scan: Scan) -> str:
    """A list of chapters, ``hours:minutes:seconds title``, as podcast and video tools read it.

    As in a cue sheet, each ends where the next begins, and the first begins at 0.
    """
    lines = []
    for number, entry in enumerate(_chapters(scan)):
        minutes, ms = divmod(round(1000 * entry.start_s) if number else 0, 60_000)
        hours, minutes = divmod(minutes, 60)
        lines.append(
            f"{hours:02d}:{minutes:02d}:{ms // 1000:02d}.{ms % 1000:03d} {_label(entry)}\n"
        )
    return "".join(lines)


# What is written for each recording of a batch besides JSON, by the ending of the file.
ENDINGS: dict[str, Callable[[Scan], str]] = {
    "csv": to_csv,
    "cue": to_cue,
    "labels.txt": to_labels,
    "chapters.txt": to_chapters,
}


def _chapters(scan: Scan) -> list[Play | Gap]:
    """The entries without short gaps."""
    return [e for e in scan.entries if isinstance(e, Play) or e.end_s - e.start_s >= _CUE_GAP_S]


def _label(entry: Play | Gap) -> str:
    """Artist and title on one line, or what a gap is."""
    if isinstance(entry, Gap):
        return "(silence)" if entry.silent else "(unknown)"
    return " ".join(" - ".join(filter(None, (entry.track.artist, entry.track.title))).split())


def _quoted(text: str) -> str:
    """Replace quotation marks and line breaks, which cue sheets cannot express."""
    return " ".join(text.replace('"', "'").split())
