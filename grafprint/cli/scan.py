"""``grafprint scan``: which tracks play in a long recording, and when."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    clock,
    err,
    escape,
    out,
    print_json,
    print_text,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.progress import progress
from grafprint.errors import ConfigError, DataError, GraFPrintError, LibraryError, WriteError

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.library import Library
    from grafprint.scan import Scan
    from grafprint.scan.outputs import Outputs, Recording


class Format(StrEnum):
    """Output formats of a scan."""

    table = "table"
    json = "json"
    csv = "csv"
    cue = "cue"
    labels = "labels"
    chapters = "chapters"


# Formats that can describe one recording only.
_OF_ONE = {Format.cue, Format.labels, Format.chapters}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(scan)


def scan(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="RECORDINGS...", help="Audio or video files, or folders of them."),
    ],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="What to print. JSON and CSV of several recordings are one array, and one table "
            "with a column 'recording'. Labels are for Audacity, chapters for podcasts and videos.",
        ),
    ] = Format.table,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the results of each recording in every format. With it, an "
            "interrupted scan resumes, and finished recordings are skipped unless they changed.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List what plays when in a mix, a radio show or a film, gaps included."""
    from grafprint.audio import AudioError
    from grafprint.audio.folders import Failure
    from grafprint.library import Library
    from grafprint.scan.outputs import Outputs, recordings

    unreadable: list[Failure] = []
    found = recordings(places, unreadable)
    for folder_failure in unreadable:
        _leave_out(folder_failure.reason)
    if not found:
        raise AudioError("there is no audio or video file: name one, or a folder that holds some")
    several = len(found) > 1 or any(place.is_dir() for place in places)
    if several and form in _OF_ONE and not folder:
        raise ConfigError(f"--format {form} is for one recording: use --out for one file of each")
    fingerprinter = load_fingerprinter(model, device, library)
    outputs = Outputs(folder) if folder else None
    failed = len(unreadable)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Library.open(library, model_id=fingerprinter.model_id) as opened,
        progress(*columns) as bar,
        _printing(form, several) as show,
    ):
        for recording in found:
            try:
                result = _scan_one(opened, fingerprinter, recording, outputs, bar)
            except (GraFPrintError, OSError) as failure:
                if len(found) == 1 or _stops_all(failure):
                    raise
                failed += 1
                _leave_out(str(failure), recording.path)
                continue
            if result:
                show(result)
    if failed:
        raise typer.Exit(1)


def _scan_one(
    library: Library,
    fingerprinter: Fingerprinter,
    recording: Recording,
    outputs: Outputs | None,
    bar: Progress,
) -> Scan | None:
    """Scan a recording and write its results; None if they are there already."""
    from grafprint.scan import scan as scan_recording

    path = recording.path
    state = None
    if outputs:
        if outputs.finished(recording):
            err.print(escape(f"{path}: has been scanned"), highlight=False)
            return None
        state = outputs.state(recording)
    task = bar.add_task(escape(path.name[:40]), total=1.0, at="")

    def on_progress(so_far: Scan, share: float, task: TaskID = task) -> None:
        at = f"{clock(so_far.duration_s)}, {len(so_far.plays)} plays"
        bar.update(task, completed=share, at=at)

    def run() -> Scan:
        return scan_recording(library, fingerprinter, path, state=state, on_progress=on_progress)

    try:
        result = run()
    except DataError as failure:  # the state is damaged, or from before the library changed
        if state is None:
            raise
        why = f"the state of an interrupted scan cannot be used ({failure.__cause__})"
        err.print(escape(f"{path}: starting again, {why}"), highlight=False, soft_wrap=True)
        state.unlink()
        result = run()
    if outputs:
        outputs.write(recording, result)
    return result


def _stops_all(failure: Exception) -> bool:
    """Whether a failure is of the library or the disk, so that every recording would have it."""
    if isinstance(failure, WriteError):
        cause = failure.__cause__
        full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
        return isinstance(cause, OSError) and cause.errno in full
    return isinstance(failure, LibraryError)


def _leave_out(reason: str, path: Path | None = None) -> None:
    if path and path.name not in reason:
        reason = f"{path}: {reason}"
    err.print(escape(f"left out: {reason}"), highlight=False, soft_wrap=True)


@contextmanager
def _printing(form: Format, several: bool) -> Iterator[Callable[[Scan], None]]:
    """A function that prints each scan; together they are one text in the format."""
    from grafprint.scan import export

    printed = 0

    def show(found: Scan) -> None:
        nonlocal printed
        printed += 1
        if form is Format.table:
            out.print(_table(found))
        elif form is Format.json:
            if several and printed > 1:
                print_text(",\n")
            print_json(found.to_json())
        elif form is Format.csv:
            print_text(export.to_csv(found, recording=several, header=printed == 1))
        else:
            ending = form if form is Format.cue else f"{form}.txt"
            print_text(export.ENDINGS[ending](found))

    array = several and form is Format.json
    if array:
        print_text("[\n")
    try:
        yield show
    finally:  # an interrupted batch, too, ends as valid JSON
        if array:
            print_text("]\n")


def _table(found: Scan) -> Table:
    from grafprint.scan.plays import Play

    columns = ("from", "to", "title", "artist", "of the track", "speed", "score")
    view = Table(*columns, title=escape(found.path), title_justify="left")
    for entry in found.entries:
        times = clock(entry.start_s), clock(entry.end_s)
        if isinstance(entry, Play):
            title = escape(entry.track.title)
            title += "".join(f"\n[dim]or {escape(t.title)}[/]" for t in entry.alternatives)
            part = f"{clock(entry.track_start_s)}-{clock(entry.track_end_s)}"
            speed = f"{100 * (entry.speed - 1):+.1f} %" if abs(entry.speed - 1) > 0.002 else ""
            row = (title, escape(entry.track.artist), part, speed, f"{entry.score:.2f}")
            view.add_row(*times, *row)
        else:
            view.add_row(*times, "[dim]silence[/]" if entry.silent else "[dim]unknown[/]")
    return view
