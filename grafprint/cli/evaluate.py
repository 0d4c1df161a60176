"""``grafprint evaluate``: hit rates on a library, as tables, JSON and a figure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from grafprint.cli import recordings as real
from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    EncoderOption,
    ModelOption,
    needs,
    out,
    positive,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption
from grafprint.cli.progress import progress, status
from grafprint.errors import ConfigError

LOG_WIDTH = 200  # of tables that no terminal shows

# Options that make sense only with, or only without, --recordings.
_OF_RECORDINGS = ("by", "windows", "tolerance")
_OF_QUERIES = (
    "queries", "snr", "reverb", "rerecording", "tracks", "noise", "rooms", "protocol",
    "landmarks", "seed",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(needs("evaluate")(evaluate))


def evaluate(
    context: typer.Context,
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    queries: Annotated[int, typer.Option(min=1, help="Queries per cell of the table.")] = 100,
    lengths: Annotated[
        str | None,
        typer.Option(
            help="Query lengths in seconds.", show_default="1,2,3,5; with --recordings also 10"
        ),
    ] = None,
    snr: Annotated[
        str, typer.Option(help="SNRs in dB; 'none' for no noise; '' for re-recordings alone.")
    ] = "0,5,10,15,20",
    reverb: Annotated[str, typer.Option(help="without, with or both.")] = "both",
    rerecording: Annotated[
        list[str] | None,
        typer.Option(
            help="Also query virtual re-recordings: default, or the name of a preset, such as "
            "'phone across the room'. May be given several times.",
            show_default=False,
        ),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            help="Measure real recordings instead: a CSV table with the columns clip, track and "
            "start.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Group the recordings by this column.", show_default=False),
    ] = None,
    windows: Annotated[
        int, typer.Option(min=1, help="At most so many windows of each length a recording.")
    ] = 10,
    tolerance: Annotated[
        float, typer.Option(callback=positive, help="Seconds that a recording's time may be off.")
    ] = 0.5,
    tracks: Annotated[
        Path | None,
        typer.Option(help="Query only these tracks: a folder, a CSV manifest or an FMA tree."),
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(help="Noises: a folder, a manifest or MUSAN. Default: synthetic.")
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(help="Room responses: a folder, a manifest or AIR. Default: simulated."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="clean, or published: as in the paper's code.")
    ] = "clean",
    landmarks: Annotated[
        bool | None,
        typer.Option(
            "--landmarks/--no-landmarks",
            help="Let landmarks decide beside the fingerprints, as in use. Default: if the library "
            "has them and the protocol is clean.",
            show_default=False,
        ),
    ] = None,
    seed: int = 0,
    save: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for results. An interrupted evaluation resumes there."),
    ] = None,
) -> None:
    """Measure hit rates over query length x SNR x reverb, with 95 % intervals.

    Clips are cut from tracks of the library at random times, degraded and identified. For unbiased
    rates, use other noises and rooms than the network was trained with. With --recordings, hit
    rates of your own recordings of known tracks.
    """
    _refuse(context, _OF_RECORDINGS if recordings is None else _OF_QUERIES, recordings)
    if recordings is not None:
        lengths_s = _numbers("--lengths", "1,2,3,5,10" if lengths is None else lengths)
        real.measure(
            recordings, library, model, encoder, device, by, lengths_s, windows, tolerance, save
        )
        return
    with status("loading PyTorch"):
        from grafprint.degradation.banks import noise_bank, room_bank
        from grafprint.evaluation import (
            RERECORDINGS,
            EvaluationConfig,
            query_tracks,
            rerecording_table,
            table,
        )
        from grafprint.evaluation import evaluate as run_evaluation
        from grafprint.evaluation.plots import hit_rates
        from grafprint.remote.opening import open_library

    choices = {"without": (False,), "with": (True,), "both": (False, True)}
    if reverb not in choices:
        raise ConfigError(f"--reverb is without, with or both, not {reverb!r}")
    names = rerecording or []
    for name in names:
        if name not in RERECORDINGS:
            raise ConfigError(f"--rerecording is one of {', '.join(RERECORDINGS)}, not {name!r}")
    parts = snr.split(",") if snr.strip() or not names else []
    config = EvaluationConfig(
        lengths_s=_numbers("--lengths", "1,2,3,5" if lengths is None else lengths),
        snrs_db=tuple(
            None if part.strip() == "none" else _numbers("--snr", part)[0] for part in parts
        ),
        reverbs=choices[reverb],
        queries=queries,
        seed=seed,
        protocol=protocol,
        landmarks=bool(landmarks),
        rerecordings={name: RERECORDINGS[name] for name in names},
    )
    with status("preparing noises and rooms"):
        noises = noise_bank(noise, "test", 30, 9000 + seed)
        responses = room_bank(rooms, "test", 20, 9000 + seed)
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    with open_library(library, model_id=fingerprinter.model_id) as opened:
        if landmarks is None and protocol == "clean":
            config = replace(config, landmarks=opened.has_landmarks)
        elif landmarks and not opened.has_landmarks:
            raise ConfigError(f"--landmarks: {library} has none; index its music again")
        chosen = None if tracks is None else query_tracks(opened, tracks)
        with progress() as bar:
            task = bar.add_task("queries", total=queries)
            report = run_evaluation(
                opened,
                fingerprinter,
                noises,
                responses,
                config,
                chosen,
                on_progress=lambda done, total: bar.update(task, completed=done),
                journal=None if save is None else save / "outcomes.jsonl",
            )
    out.print(
        f"Top-1 hit rate in % (95 % interval), {protocol} protocol, "
        f"{report.references} references, {report.fingerprints} fingerprints, "
        f"{queries} queries per cell, {'with' if config.landmarks else 'without'} landmarks",
        highlight=False,
    )
    # In a file there is room for each interval on a line.
    shown_on = out if out.is_terminal else Console(width=max(out.width, LOG_WIDTH), emoji=False)
    for measure, title in (
        ("hit_50ms", "right track within 50 ms"),
        ("right_track", "right track"),
    ):
        for shown, kind in ((parts, table), (names, rerecording_table)):
            if shown:
                rows = list(kind(report, measure))
                view = Table(title=title, title_justify="left")
                for name in rows[0]:
                    view.add_column(name, overflow="fold")  # no digit is left out
                for row in rows[1:]:
                    view.add_row(*row)
                shown_on.print(view)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.to_json(), indent=1)
        (save / "evaluation.json").write_text(text + "\n")
        hit_rates(report).savefig(save / "evaluation.png", dpi=150)
        out.print(f"written: {save / 'evaluation.json'}, {save / 'evaluation.png'}")


def _refuse(context: typer.Context, options: tuple[str, ...], recordings: Path | None) -> None:
    """Raise ConfigError if one of the ``options`` was given."""
    for name in options:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(
                f"--{name} is for real recordings: give --recordings, too"
                if recordings is None
                else f"--{name} has no meaning with --recordings: leave it out"
            )


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} takes numbers separated by commas, not {text!r}") from error
