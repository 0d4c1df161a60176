"""``grafprint train-tagger``: train a tagger on labelled clips, with exact resuming."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import needs, show_end, until_interrupted
from grafprint.cli.network import check_device
from grafprint.cli.progress import progress, status
from grafprint.cli.train import parse_options
from grafprint.cli.training_bars import TrainingBars

if TYPE_CHECKING:
    from grafprint.training.tagging_run import TaggingProgress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train-tagger")(needs("train")(train_tagger))


def train_tagger(
    clips: Annotated[
        Path,
        typer.Argument(
            help="A CSV table of clips and labels, or the folder of FSD50K or AudioSet."
        ),
    ],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    resume: Annotated[
        bool,
        typer.Option(
            help="Resume the run in --out with its settings; of the options only --epochs counts."
        ),
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="fsd50k, audioset, or a JSON file of settings (TaggingConfig); options override "
            "it.",
            show_default="fsd50k",
        ),
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="iso, pyr-s, pyr-med or small.", show_default="pyr-s")
    ] = None,
    label_nodes: Annotated[
        bool | None,
        typer.Option("--label-nodes/--no-label-nodes", help="The paper's MLG.", show_default="on"),
    ] = None,
    options: Annotated[
        str | None, typer.Option(help="Options of the network (ATGNNConfig) as JSON.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, show_default="50")] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=2, help="Clips per step, over all processes.", show_default="24"),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default="0.0005")] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="bf16-mixed, 16-mixed, 32-true.", show_default="bf16-mixed"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, show_default="0")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps.", show_default="200")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes for loading data.", show_default="0")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded audio.")] = None,
) -> None:
    """Train a network that says what a clip sounds like, on clips with labels.

    On several GPUs: torchrun --nproc-per-node N -m grafprint train-tagger ... Ctrl-C saves and
    stops.
    """
    with status("loading PyTorch and Lightning"):
        from grafprint.training.tagging import train_tagger as run_training
        from grafprint.training.tagging_config import load_tagging_config, tagging_recipe

    if accelerator != "auto":
        check_device(accelerator, "--accelerator")
    for name in ("lightning", "lightning.pytorch.utilities.rank_zero"):  # the second has its own
        logging.getLogger(name).setLevel(logging.ERROR)
    if resume:
        saved = load_tagging_config(run / "config.json")
        config = replace(saved, epochs=epochs or saved.epochs)
    else:
        given: dict[str, Any] = {
            "variant": variant, "label_nodes": label_nodes, "epochs": epochs, "batch": batch,
            "learning_rate": learning_rate, "precision": precision, "seed": seed,
            "save_every": save_every, "workers": workers,
        }  # fmt: skip
        config = tagging_recipe(recipe or "fsd50k")
        if (changes := parse_options(options)) is not None:
            given["network_options"] = config.network_options | changes
        config = replace(config, **{k: v for k, v in given.items() if v is not None})
    interrupted = until_interrupted()
    with progress() as bar:
        bars = TrainingBars(bar)

        def on_progress(p: TaggingProgress) -> None:
            validation = (p.validation or {}).items()
            scores = "".join(f"  {name} {value:.3f}" for name, value in validation)
            bars.report(p, f"epoch {p.epoch:.1f}/{config.epochs}  loss {p.loss:.4f}{scores}")

        result = run_training(
            config,
            clips,
            run,
            cache=cache,
            resume=resume,
            accelerator=accelerator,
            on_progress=on_progress,
            on_decode=bars.on_decode,
            on_step=bars.on_step,
            stop=interrupted,
        )
    again = f"train-tagger {clips} --out {run}"
    show_end(again if interrupted() else None, f"trained: {result}")
