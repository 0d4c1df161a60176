"""``grafprint watch``: identify endless sound continuously, and log what plays."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    clock,
    escape,
    finite,
    out,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.progress import status

if TYPE_CHECKING:
    from grafprint.scan.monitor import Event


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(watch)


def watch(
    source: Annotated[
        str | None,
        typer.Argument(
            help="The http(s) address of a radio station, a file that is being written, or the "
            "name of a microphone (`grafprint listen --devices` lists them). Default: the "
            "system's microphone.",
            show_default=False,
        ),
    ] = None,
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    log: Annotated[
        Path | None,
        typer.Option(
            help="Append every play to this file, one JSON object per line.", show_default=False
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
    from grafprint.library import Library
    from grafprint.scan import monitor

    if log:  # not only when the first play has ended
        _append(log, "")
    fingerprinter = load_fingerprinter(model, device, library)
    began = datetime.now().astimezone()
    with (
        Library.open(library, model_id=fingerprinter.model_id) as opened,
        closing(live_sources.blocks(source, idle_s=idle)) as blocks,
        status("listening (Ctrl-C ends it)"),
    ):
        sound = blocks if seconds is None else _first(blocks, seconds * audio.SAMPLE_RATE)
        for event in monitor.watch(opened, fingerprinter, _until_interrupted(sound)):
            _show(event, began)
            if log and event.kind == "ended":
                _append(log, json.dumps(_entry(event, began), ensure_ascii=False) + "\n")


def _first(blocks: Any, samples: float) -> Any:
    for block in blocks:
        yield block
        samples -= len(block)
        if samples <= 0:
            return


def _until_interrupted(blocks: Any) -> Any:
    """End at Ctrl-C, the usual way to stop: what still plays is then reported as ended."""
    try:
        yield from blocks
    except KeyboardInterrupt:
        return


def _show(event: Event, began: datetime) -> None:
    play = event.play
    by = f" by {play.track.artist}" if play.track.artist else ""
    if event.kind == "began":
        at = began + timedelta(seconds=play.start_s)
        what = f"from {clock(play.track_start_s)} on"
    else:
        at = began + timedelta(seconds=play.end_s)
        what = f"ended, after {clock(play.end_s - play.start_s)}"
    line = f"{at:%H:%M:%S}  [bold]{escape(play.track.title)}[/]{escape(by)}, {what}"
    out.print(line, highlight=False, soft_wrap=True)


def _entry(event: Event, began: datetime) -> dict[str, Any]:
    play = event.play
    times = {
        name: (began + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
        for name, seconds in (("began", play.start_s), ("ended", play.end_s))
    }
    return {**times, **play.to_json()}


def _append(log: Path, text: str) -> None:
    from grafprint.files import writing

    with writing(log), log.open("a", encoding="utf-8") as file:
        file.write(text)
