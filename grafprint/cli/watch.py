"""``grafprint watch``: identify endless sound continuously, and log what plays."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    EncoderOption,
    ModelOption,
    clock,
    escape,
    finite,
    out,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption
from grafprint.cli.progress import status
from grafprint.errors import ConfigError

if TYPE_CHECKING:
    from grafprint.audio.sound_clock import SoundClock
    from grafprint.scan.monitor import Event

# The columns of an airplay report: who, when, how long.
REPORT = ("began", "ended", "seconds", "artist", "title", "album", "source")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(
    source: Annotated[
        str | None,
        typer.Argument(
            help="The http(s) address of a radio station, a file that is being written, or the "
            "name of a microphone (`grafprint listen --devices` lists them), or 'computer' for "
            "what this computer plays. Default: the system's microphone.",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    log: Annotated[
        Path | None,
        typer.Option(
            help="Append every play to this file, one JSON object per line.", show_default=False
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Append every play to this CSV file, an airplay report: when it began and ended, "
            "how long it was heard, artist, title, album and source.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            callback=finite,
            help="Stop after this many seconds. Default: at Ctrl-C.",
            show_default=False,
        ),
    ] = None,
    idle: Annotated[
        float,
        typer.Option(
            min=0.1, callback=finite, help="Stop when a file has not grown for this many seconds."
        ),
    ] = 10.0,
) -> None:
    """Listen without end and report which tracks play."""
    from grafprint import audio
    from grafprint.audio import live_sources
    from grafprint.audio.sound_clock import SoundClock
    from grafprint.remote.opening import open_library
    from grafprint.scan import monitor

    for option, path in (("--log", log), ("--report", report)):
        if path:
            _check(option, path)
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    times = SoundClock()
    with (
        open_library(library, model_id=fingerprinter.model_id) as opened,
        closing(live_sources.blocks(source, idle_s=idle, clock=times)) as blocks,
        status("listening (Ctrl-C ends it)"),
    ):
        sound = blocks if seconds is None else _first(blocks, seconds * audio.SAMPLE_RATE)
        for event in monitor.watch(opened, fingerprinter, _until_interrupted(sound)):
            _show(event, times)
            if event.kind == "began":
                continue
            entry = _entry(event, times)
            if log:
                _append(log, json.dumps(entry, ensure_ascii=False) + "\n")
            if report:
                _append(report, _row(entry, source or "microphone", report))


def _first(blocks: Any, samples: float) -> Any:
    for block in blocks:
        yield block[: round(samples)]
        samples -= len(block)
        if samples <= 0:
            return


def _until_interrupted(blocks: Any) -> Any:
    """End at Ctrl-C, the usual way to stop: what still plays is then reported as ended."""
    try:
        yield from blocks
    except KeyboardInterrupt:
        return


def _check(option: str, path: Path) -> None:
    """Raise ConfigError or WriteError if ``path`` cannot be appended to, before a play is lost."""
    from grafprint.files import writing

    if not path.parent.is_dir():
        raise ConfigError(f"{option} {path}: there is no folder {path.parent}; make it first")
    with writing(path):
        path.open("a", encoding="utf-8").close()


def _show(event: Event, times: SoundClock) -> None:
    play = event.play
    by = f" by {play.track.artist}" if play.track.artist else ""
    if event.kind == "began":
        at = times.began(play.start_s)
        what = f"from {clock(play.track_start_s)} on"
    else:
        at = times.ended(play.end_s)
        what = f"ended, after {clock(play.end_s - play.start_s)}"
    day = "" if at.date() == datetime.now().date() else f"{at:%Y-%m-%d} "
    line = f"{day}{at:%H:%M:%S}  [bold]{escape(play.track.title)}[/]{escape(by)}, {what}"
    out.print(line, highlight=False, soft_wrap=True)


def _entry(event: Event, times: SoundClock) -> dict[str, Any]:
    play = event.play
    began, ended = times.began(play.start_s), times.ended(play.end_s)
    return {
        "began": began.isoformat(timespec="milliseconds"),
        "ended": ended.isoformat(timespec="milliseconds"),
        **play.to_json(),
    }


def _row(entry: dict[str, Any], source: str, report: Path) -> str:
    """The entry as a row of the report, below the header if the file is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if not report.stat().st_size:
        writer.writerow(REPORT)
    length_s = round(entry["end_s"] - entry["start_s"], 1)
    values = {**entry, "seconds": length_s, "source": source}
    writer.writerow([values[column] for column in REPORT])
    return text.getvalue()


def _append(file: Path, text: str) -> None:
    from grafprint.files import writing

    with writing(file), file.open("a", encoding="utf-8") as opened:
        opened.write(text)
