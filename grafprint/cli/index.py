"""``grafprint index``: add a folder of music to a library."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from grafprint.cli.console import (
    BUNDLED_MODEL,
    FAILED,
    FAST_MODEL,
    SAMPLES_MODEL,
    DeviceOption,
    EncoderOption,
    JsonOption,
    ModelOption,
    TaggerOption,
    clock,
    err,
    escape,
    needs,
    out,
    print_json,
    printable,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.passed_over import show_passed_over
from grafprint.cli.place import OwnLibraryOption
from grafprint.cli.progress import progress
from grafprint.cli.tag import load_tagger
from grafprint.cli.track_tags import show_report as show_tags
from grafprint.cli.track_tags import tag_with_progress
from grafprint.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from grafprint.library import IndexReport
    from grafprint.library.part import Part
    from grafprint.library.ray_cluster import RayCluster
else:
    Part = object  # its import would take as long as the library's; the option has a parser


def read_part(text: Any) -> Part:
    """Option parser: the part that a text such as 3/16 names; explains one that is wrong."""
    from grafprint.library.part import Part

    try:
        return Part.parse(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(index)


def index(
    folder: Annotated[Path, typer.Argument(help="Folder of music, or one file.")],
    library: OwnLibraryOption,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast", help="Use the fast network: about 8 times as fast, almost the same hit rate."
        ),
    ] = False,
    samples: Annotated[
        bool,
        typer.Option(
            "--samples",
            help="Make a library for `samples`: use the bundled network for sample identification.",
        ),
    ] = False,
    device: DeviceOption = "cpu",
    part: Annotated[
        Part | None,
        typer.Option(
            parser=read_part,
            metavar="I/N",
            help="Only part I of N of the files, such as 3/16: N jobs, on any machines, do all of "
            "them, each a share that stays the same.",
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Let the nodes of a Ray cluster fingerprint the files: HOST:PORT, or auto for the "
            "cluster of this machine. All nodes need the folder at the same path.",
            show_default=False,
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option(help="Remove tracks whose files are no longer in the folder.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="With --prune: even if most of the folder's tracks are gone."),
    ] = False,
    factory: Annotated[
        str | None,
        typer.Option(
            help="FAISS factory string for the index of a new library, such as IVF1024,PQ32. "
            "Default: chosen by size.",
            show_default=False,
        ),
    ] = None,
    tags: Annotated[
        bool,
        typer.Option("--tags", help="Also tag the tracks: what do they sound like? See `tag`."),
    ] = False,
    tagger: TaggerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a folder of music to a library, or update the library.

    Unchanged files are skipped. Interrupt it at any time, and run it again to continue. The exit
    status is 0 if any file is in the library afterwards, 2 if none can be used.
    """
    from grafprint.remote.opening import delete_new, is_there, open_or_create

    if fast + samples + (model != BUNDLED_MODEL) > 1:
        raise ConfigError("--fast, --samples and --model each choose the network: give one of them")
    if tagger and not tags:
        raise ConfigError("--tagger is for tagging: give --tags, too")
    if tags and part:
        raise ConfigError(
            "--tags is for whole libraries: run `grafprint library tag` once all parts are done"
        )
    if ray and device != "cpu":
        raise ConfigError("--ray computes with the cores of the nodes: leave out --device")
    chosen = FAST_MODEL if fast else SAMPLES_MODEL if samples else model
    known = is_there(library)
    # Before the network is loaded, and before a library is made for a name that was mistyped.
    _require_music(folder, known and prune, force)
    cluster = _join(ray, folder) if ray else None
    loaded_tagger = load_tagger(tagger, device) if tags else None
    fingerprinter = load_fingerprinter(chosen, device, library, encoder)
    new_folder = not (isinstance(library, Path) and library.exists())
    opened, is_new = open_or_create(library, fingerprinter, factory=factory)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[audio]}"),
        TimeElapsedColumn(),
    )
    tag_report = None
    with cluster or nullcontext(), opened:
        with progress(*columns) as bar:
            task = bar.add_task("indexing", total=None, audio="")

            def on_progress(file: str, done: int, total: int, audio_s: float) -> None:
                # After the last file the index is built, which takes minutes in a large library.
                name = printable(Path(file).name[:40]) if done < total else "finishing"
                audio = f"{clock(audio_s)} of audio"
                bar.update(task, completed=done, total=total, audio=audio, description=name)

            ahead = cluster.fingerprint_ahead if cluster else None
            report = opened.add_folder(
                folder, fingerprinter, on_progress, prune=prune, force=force, part=part, ahead=ahead
            )
        if loaded_tagger:
            tag_report = tag_with_progress(opened, loaded_tagger)
        tracks, fingerprints = opened.totals().tracks, len(opened)
    unusable = bool(report.failed) and not report.usable
    if unusable and is_new and new_folder and not part:  # other parts may be usable
        delete_new(library)
    if as_json:
        values = {**report.to_json(), "tracks": tracks, "fingerprints": fingerprints}
        print_json(values | ({"tags": tag_report.to_json()} if tag_report else {}))
    else:
        _show_report(report, tracks, fingerprints)
        if tag_report:
            show_tags(tag_report)
    if unusable:
        which = f"part {part} of " if part else ""
        err.print(f"[bold red]error:[/] no file of {which}{escape(str(folder))} can be used")
        raise typer.Exit(FAILED)


def _require_music(folder: Path, prune: bool, force: bool) -> None:
    """Raise LibraryError without such a folder, AudioError without any audio file in it."""
    from grafprint.audio.folders import Failure, audio_files

    unreadable: list[Failure] = []
    if audio_files(folder, unreadable) or unreadable or (prune and force):
        return
    question = (
        ", so nothing was removed: is a drive not mounted? If its music is to go from the library, "
        "add --force"
        if prune
        else ": name a folder that holds music"
    )
    raise AudioError(f"there is no audio or video file in {folder}{question}")


@needs("ray")
def _join(address: str, folder: Path) -> RayCluster:
    from grafprint.library.ray_cluster import RayCluster

    return RayCluster(address, folder)


def _show_report(report: IndexReport, tracks: int, fingerprints: int) -> None:
    for path in report.missing:
        verb = "removed" if path in report.removed else "no longer there (--prune removes it)"
        out.print(escape(f"{path}: {verb}"), highlight=False, soft_wrap=True)
    kept_out = f", {len(report.kept_out)} kept out" if report.kept_out else ""
    out.print(
        f"{len(report.added)} added, {len(report.updated)} updated, "
        f"{len(report.unchanged)} unchanged, {len(report.duplicates)} duplicates, "
        f"{len(report.failed)} left out{kept_out}; the library has {tracks} tracks, "
        f"{fingerprints} fingerprints",
        highlight=False,
        soft_wrap=True,
    )
    for failure in report.failed:
        out.print(escape(f"left out: {failure.reason}"), highlight=False, soft_wrap=True)
    show_passed_over(report.passed_over, out)
