"""``grafprint evaluate``: hit rates on a library, as tables, JSON and a figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    load_fingerprinter,
    needs,
    out,
)
from grafprint.cli.progress import progress
from grafprint.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(needs("evaluate")(evaluate))


def evaluate(
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    queries: Annotated[int, typer.Option(min=1, help="Queries per cell of the table.")] = 100,
    lengths: Annotated[str, typer.Option(help="Query lengths in seconds.")] = "1,2,3,5",
    snr: Annotated[str, typer.Option(help="SNRs in dB; 'none' for no noise.")] = "0,5,10,15,20",
    reverb: Annotated[str, typer.Option(help="without, with or both.")] = "both",
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
    seed: int = 0,
    save: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for results. An interrupted evaluation resumes there."),
    ] = None,
) -> None:
    """Measure hit rates over query length x SNR x reverb, with 95 % intervals.

    Clips are cut from tracks of the library at random times, degraded and identified. For unbiased
    rates, use other noises and rooms than the network was trained with.
    """
    from grafprint.degradation.banks import noise_bank, room_bank
    from grafprint.evaluation import EvaluationConfig, query_tracks, table
    from grafprint.evaluation import evaluate as run_evaluation
    from grafprint.evaluation.plots import hit_rates
    from grafprint.library import Library

    choices = {"without": (False,), "with": (True,), "both": (False, True)}
    if reverb not in choices:
        raise ConfigError(f"--reverb is without, with or both, not {reverb!r}")
    config = EvaluationConfig(
        lengths_s=_numbers("--lengths", lengths),
        snrs_db=tuple(
            None if part.strip() == "none" else _numbers("--snr", part)[0]
            for part in snr.split(",")
        ),
        reverbs=choices[reverb],
        queries=queries,
        seed=seed,
        protocol=protocol,
    )
    noises = noise_bank(noise, "test", 30, 9000 + seed)
    responses = room_bank(rooms, "test", 20, 9000 + seed)
    fingerprinter = load_fingerprinter(model, device, library)
    with Library.open(library, model_id=fingerprinter.model_id) as opened:
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
        f"{queries} queries per cell",
        highlight=False,
    )
    for measure, title in (
        ("hit_50ms", "right track within 50 ms"),
        ("right_track", "right track"),
    ):
        rows = list(table(report, measure))
        view = Table(*rows[0], title=title, title_justify="left")
        for row in rows[1:]:
            view.add_row(*row)
        out.print(view)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.to_json(), indent=1)
        (save / "evaluation.json").write_text(text + "\n")
        hit_rates(report).savefig(save / "evaluation.png", dpi=150)
        out.print(f"written: {save / 'evaluation.json'}, {save / 'evaluation.png'}")


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"{option} takes numbers separated by commas, not {text!r}") from error
