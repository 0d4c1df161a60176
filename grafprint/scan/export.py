"""Export a scan as CSV or as a cue sheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from grafprint.scan import Scan
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


def to_csv(scan: Scan) -> str:
    """One row per entry; gaps have an empty title or, if silent, the title ``(silence)``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in scan.entries:
        values = entry.to_json()
        if isinstance(entry, Play):
            values["alternatives"] = "; ".join(track.title for track in entry.alternatives)
        elif entry.silent:
            values["title"] = "(silence)"
        writer.writerow([values.get(column, "") for column in COLUMNS])
    return text.getvalue()


def to_cue(scan: Scan) -> str:
    """A cue sheet: where each track begins in the recording (minutes:seconds:frames).

    Tracks of a cue sheet do not overlap: each ends where the next begins. Long gaps become tracks
    called ``Unknown``. At most 99 tracks, which is the format's limit.
    """
    path = Path(scan.path)
    kind = "MP3" if path.suffix.lower() == ".mp3" else "WAVE"
    lines = [f'FILE "{_quoted(path.name)}" {kind}']
    entries = [e for e in scan.entries if isinstance(e, Play) or e.end_s - e.start_s >= _CUE_GAP_S]
    for number, entry in enumerate(entries[:99], 1):
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


def _quoted(text: str) -> str:
    """Replace quotation marks and line breaks, which cue sheets cannot express."""
    return " ".join(text.replace('"', "'").split())
