"""``grafprint scan``: which tracks play in a long recording, and when."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import (
    BarColumn,
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

if TYPE_CHECKING:
    from grafprint.scan import Scan


class Format(StrEnum):
    """Output formats of a scan."""

    table = "table"
    json = "json"
    csv = "csv"
    cue = "cue"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(scan)


def scan(
    recordings: Annotated[
        list[Path], typer.Argument(help="Audio or video files, or folders of them.")
    ],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for a JSON file, a CSV file and a cue sheet per recording. With it, an "
            "interrupted scan resumes and finished recordings are skipped.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """List what plays when in a mix, a radio show or a film, gaps included."""
    from grafprint.audio import AudioError
    from grafprint.audio.folders import Failure, audio_files
    from grafprint.library import Library
    from grafprint.scan import scan as scan_recording

    unreadable: list[Failure] = []
    files: list[Path] = []
    for path in recordings:
        files += audio_files(path, unreadable) if path.is_dir() else [path]
    for folder_failure in unreadable:
        err.print(escape(f"left out: {folder_failure.reason}"), highlight=False)
    if not files:
        raise AudioError("there is no audio or video file: name one, or a folder that holds some")
    fingerprinter = load_fingerprinter(model, device, library)
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
    ):
        for path in files:
            if folder and _target(folder, path, "json").is_file():
                err.print(escape(f"{path}: has been scanned"), highlight=False)
                continue
            task = bar.add_task(escape(path.name[:40]), total=1.0, at="")

            def on_progress(so_far: Scan, share: float, task: TaskID = task) -> None:
                at = f"{clock(so_far.duration_s)}, {len(so_far.plays)} plays"
                bar.update(task, completed=share, at=at)

            if folder:
                folder.mkdir(parents=True, exist_ok=True)
            state = _target(folder, path, "partial.json") if folder else None
            try:
                result = scan_recording(
                    opened, fingerprinter, path, state=state, on_progress=on_progress
                )
            except AudioError as failure:
                if len(files) == 1:
                    raise
                failed += 1
                err.print(escape(f"left out: {failure}"), highlight=False, soft_wrap=True)
                continue
            if folder:
                _write(folder, path, result)
            _print(result, form)
    if failed:
        raise typer.Exit(1)


def _target(folder: Path, path: Path, ending: str) -> Path:
    return folder / f"{path.name}.{ending}"


def _write(folder: Path, path: Path, found: Scan) -> None:
    from grafprint import files
    from grafprint.scan import export

    texts = {
        "csv": export.to_csv(found),
        "cue": export.to_cue(found),
        # The last one: it marks the recording as finished.
        "json": json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n",
    }
    for ending, text in texts.items():
        files.replace_text(_target(folder, path, ending), text)


def _print(found: Scan, form: Format) -> None:
    from grafprint.scan import export

    if form is Format.json:
        print_json(found.to_json())
    elif form is Format.csv:
        print_text(export.to_csv(found))
    elif form is Format.cue:
        print_text(export.to_cue(found))
    else:
        out.print(_table(found))


def _table(found: Scan) -> Table:
    from grafprint.scan.plays import Play

    columns = ("from", "to", "title", "artist", "of the track", "score")
    view = Table(*columns, title=escape(found.path), title_justify="left")
    for entry in found.entries:
        times = clock(entry.start_s), clock(entry.end_s)
        if isinstance(entry, Play):
            title = escape(entry.track.title)
            title += "".join(f"\n[dim]or {escape(t.title)}[/]" for t in entry.alternatives)
            part = f"{clock(entry.track_start_s)}-{clock(entry.track_end_s)}"
            view.add_row(*times, title, escape(entry.track.artist), part, f"{entry.score:.2f}")
        else:
            view.add_row(*times, "[dim]silence[/]" if entry.silent else "[dim]unknown[/]")
    return view
