"""``grafprint train-reranker``: train the re-ranker of sample identification, resumable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import DeviceOption, needs, show_end, until_interrupted
from grafprint.cli.network import check_device
from grafprint.cli.progress import progress, status
from grafprint.cli.training_bars import TrainingBars

if TYPE_CHECKING:
    from grafprint.training import Progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-reranker")(needs("train")(train_reranker))


def train_reranker(
    stems: Annotated[Path, typer.Argument(help="Songs as stems: the table stems.csv.")],
    model: Annotated[Path, typer.Option("--model", help="The encoder of train --encoder samples.")],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    mixes: Annotated[
        Path | None,
        typer.Option(
            help="Whole recordings to sample, too: a folder, a manifest or FMA.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            help="Resume the run in --out with its settings; of the options only --steps and "
            "--mixes count."
        ),
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Settings (RerankingConfig) as a JSON file, such as config.json of an earlier "
            "run; options override it.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default="2000")] = None,
    batch: Annotated[
        int | None, typer.Option(min=2, help="Songs per step.", show_default="32")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default="0.0001")] = None,
    seed: Annotated[int | None, typer.Option(min=0, show_default="0")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps.", show_default="200")] = None,
    device: DeviceOption = "cpu",
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded audio.")] = None,
) -> None:
    """Train a network that judges whether one segment was made of another.

    It learns on nodes of --model, which stays as it is, and belongs to that encoder alone. To use
    it: grafprint samples --reranker OUT/reranker.safetensors ... Ctrl-C saves and stops.
    """
    with status("loading PyTorch"):
        from grafprint.fingerprint import Fingerprinter
        from grafprint.training.reranking import train_reranker as run_training
        from grafprint.training.reranking_config import RerankingConfig, load_reranking_config

        check_device(device)
        fingerprinter = Fingerprinter.load(model, device)
    if resume:
        saved = load_reranking_config(run / "config.json")
        config = replace(saved, steps=steps or saved.steps)
    else:
        given: dict[str, Any] = {
            "steps": steps, "batch": batch, "learning_rate": learning_rate, "seed": seed,
            "save_every": save_every,
        }  # fmt: skip
        config = RerankingConfig() if recipe is None else load_reranking_config(recipe)
        config = replace(config, **{k: v for k, v in given.items() if v is not None})
    interrupted = until_interrupted()
    with progress() as bar:
        bars = TrainingBars(bar, config.steps)

        def on_progress(p: Progress) -> None:
            scores = "".join(f"  {k} {value:.3f}" for k, value in (p.validation or {}).items())
            bars.report(p, f"loss {p.loss:.4f}  right {p.accuracy:.3f}{scores}")

        result = run_training(
            config,
            fingerprinter,
            stems,
            run,
            mixes=mixes,
            cache=cache,
            resume=resume,
            on_progress=on_progress,
            on_decode=bars.on_decode,
            on_step=bars.on_step,
            stop=interrupted,
        )
    again = f"train-reranker {stems} --model {model} --out {run}"
    more = {"--mixes": mixes, "--cache": cache, "--device": None if device == "cpu" else device}
    again += "".join(f" {option} {value}" for option, value in more.items() if value is not None)
    show_end(again if interrupted() else None, f"trained: {result}")
