"""``grafprint scan``: which tracks play in a long recording, and when."""

from __future__ import annotations

import errno
from collections.abc import Sequence
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

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    FAILED,
    NOTHING_FOUND,
    DeviceOption,
    EncoderOption,
    JsonOption,
    ModelOption,
    clock,
    err,
    escape,
    note_json,
    printable,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.passed_over import show_passed_over
from grafprint.cli.place import LibraryOption
from grafprint.cli.progress import progress
from grafprint.cli.timelines import OF_ONE, Format, Printer
from grafprint.errors import ConfigError, DataError, GraFPrintError, LibraryError, WriteError

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter
    from grafprint.remote.opening import AnyLibrary
    from grafprint.scan import Scan
    from grafprint.scan.outputs import Outputs, Recording


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
    encoder: EncoderOption = None,
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
            "interrupted scan resumes, and results that are there are printed again unless their "
            "recordings changed.",
            show_default=False,
        ),
    ] = None,
    other_speeds: Annotated[
        bool,
        typer.Option(
            "--other-speeds",
            help="Where nothing is found, look again for music that is played up to 6 % faster or "
            "slower, as DJs do. A recording of unknown music takes three times as long.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what plays when in a mix, a radio show or a film, gaps included.

    Music is found up to about 3 % faster or slower than the track (tempo and pitch together). At
    4 % some is missed, at 6 % nearly all; --other-speeds finds it up to 6 %. The exit status is 0
    if anything was found, 1 if nothing was, 2 if there was an error.
    """
    from grafprint.audio import AudioError
    from grafprint.audio.folders import Failure
    from grafprint.library.add_file import shown
    from grafprint.remote.opening import open_library
    from grafprint.scan import OTHER_SPEEDS
    from grafprint.scan.outputs import Outputs, recordings

    form = Format.json if as_json else form
    note_json(form is Format.json)
    unreadable: list[Failure] = []
    passed_over: list[Failure] = []
    recorded = recordings(places, unreadable, passed_over)
    for folder_failure in unreadable:
        _leave_out(folder_failure.reason, Path(folder_failure.path))
    show_passed_over(passed_over, err)
    if not recorded:
        raise AudioError("there is no audio or video file: name one, or a folder that holds some")
    several = len(recorded) > 1 or any(place.is_dir() for place in places)
    if several and form in OF_ONE and not folder:
        raise ConfigError(f"--format {form} is for one recording: use --out for one file of each")
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    speeds = OTHER_SPEEDS if other_speeds else ()
    outputs = Outputs(folder, speeds) if folder else None
    failed, found = bool(unreadable), False
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[at]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        open_library(library, model_id=fingerprinter.model_id) as opened,
        progress(*columns) as bar,
        Printer(form, several) as printer,
    ):
        for recording in recorded:
            try:
                result = _scan_one(opened, fingerprinter, recording, speeds, outputs, bar)
            except (GraFPrintError, OSError) as failure:
                if not several:
                    raise
                failed = True
                _leave_out(str(failure), recording.path)
                printer.show_failure(shown(recording.path), str(failure))
                if _stops_all(failure):
                    err.print("[bold red]error:[/] nothing more can be scanned", highlight=False)
                    break
                continue
            found |= bool(result.plays)
            printer.show(result)
    raise typer.Exit(FAILED if failed else 0 if found else NOTHING_FOUND)


def _scan_one(
    library: AnyLibrary,
    fingerprinter: Fingerprinter,
    recording: Recording,
    speeds: Sequence[float],
    outputs: Outputs | None,
    bar: Progress,
) -> Scan:
    """Scan a recording and write its results, or read them if they are there already."""
    from grafprint.scan import scan as scan_recording

    path = recording.path
    state = None
    if outputs:
        if outputs.finished(recording):
            err.print(escape(f"{path}: has been scanned"), highlight=False)
            return outputs.read(recording)
        state = outputs.state(recording)
    task = bar.add_task(printable(path.name[:40]), total=1.0, at="")

    def on_progress(so_far: Scan, share: float, task: TaskID = task) -> None:
        at = f"{clock(so_far.duration_s)}, {len(so_far.plays)} plays"
        bar.update(task, completed=share, at=at)

    def run() -> Scan:
        return scan_recording(
            library, fingerprinter, path, speeds=speeds, state=state, on_progress=on_progress
        )

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
