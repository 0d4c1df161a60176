"""``grafprint train``: contrastive training with progress, checkpoints and exact resume."""

from __future__ import annotations

import json
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import err, out, progress

if TYPE_CHECKING:
    from grafprint.training import Progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    music: Annotated[Path, typer.Argument(help="A folder, a CSV manifest or an FMA tree.")],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    noise: Annotated[
        Path | None, typer.Option(help="Folder of noises. Default: synthetic.")
    ] = None,
    rooms: Annotated[
        Path | None, typer.Option(help="Folder of room responses. Default: simulated.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(help="Go on with the run in --out and its settings; only --steps counts."),
    ] = False,
    encoder: Annotated[str, typer.Option(help="Encoder of the registry.")] = "grafprint",
    options: Annotated[str, typer.Option(help="Encoder options as JSON.")] = "{}",
    steps: Annotated[int | None, typer.Option(min=1, show_default="12400")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Pairs a step, over all processes.")] = 256,
    learning_rate: float = 8e-5,
    final_learning_rate: float = 7e-7,
    temperature: float = 0.05,
    snr_db: Annotated[tuple[float, float], typer.Option(help="Lowest and highest.")] = (-3.0, 20.0),
    precision: Annotated[str, typer.Option(help="bf16-mixed, 16-mixed, 32-true.")] = "bf16-mixed",
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    seed: int = 0,
    validate_every: int = 500,
    save_every: int = 200,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded music.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = 0,
) -> None:
    """Train a network on your own music.

    On several GPUs: torchrun --nproc-per-node N -m grafprint train ... Ctrl-C saves and stops.
    """
    from grafprint.augment import DegradeConfig
    from grafprint.training import TrainConfig, load_config
    from grafprint.training import train as run_training

    logging.getLogger("lightning").setLevel(logging.ERROR)
    try:
        encoder_options: dict[str, Any] = json.loads(options)
    except json.JSONDecodeError as error:
        raise ValueError(f"--options is not JSON: {error}") from error
    config = TrainConfig(
        encoder=encoder, encoder_options=encoder_options, steps=steps or 12_400, batch=batch,
        learning_rate=learning_rate, final_learning_rate=final_learning_rate,
        temperature=temperature, degrade=DegradeConfig(snr_db=snr_db), precision=precision,
        seed=seed, validate_every=validate_every, save_every=save_every, workers=workers,
    )  # fmt: skip
    if resume:
        saved = load_config(run)
        config = replace(saved, steps=steps or saved.steps)
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    with progress() as bar:
        decoding = bar.add_task("decoding", total=None)
        training = bar.add_task("training", total=config.steps, visible=False)

        def on_progress(p: Progress) -> None:
            hit = "" if p.hit_rate is None else f"  validation hit rate {100 * p.hit_rate:.1f} %"
            line = f"loss {p.loss:.3f}  in-batch accuracy {100 * p.accuracy:.1f} %{hit}"
            bar.update(training, completed=p.step, description=line, visible=True)
            if not err.is_terminal:
                err.print(f"step {p.step}/{p.steps}  {line}  {p.seconds_per_step:.2f} s a step, "
                          f"{p.eta_s / 60:.0f} min left")  # fmt: skip

        result = run_training(
            config, music, run, noise=noise, rooms=rooms, cache=cache, resume=resume,
            accelerator=accelerator, on_progress=on_progress, stop=lambda: interrupted,
            on_decode=lambda done, total: bar.update(decoding, completed=done, total=total),
        )  # fmt: skip
    if interrupted:
        out.print(
            f"stopped; go on with: grafprint train {music} --out {run} --resume", soft_wrap=True
        )
    else:
        out.print(f"trained: {result}", soft_wrap=True)
