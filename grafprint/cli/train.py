"""``grafprint train``: contrastive training with progress, checkpoints and exact resuming."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grafprint.cli.console import needs, show_end, until_interrupted
from grafprint.cli.network import check_device, import_network
from grafprint.cli.progress import progress, status
from grafprint.cli.training_bars import TrainingBars
from grafprint.errors import ConfigError

if TYPE_CHECKING:
    from grafprint.training import Progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(needs("train")(train))


def train(
    music: Annotated[
        Path,
        typer.Argument(
            help="A folder, a CSV manifest or an FMA tree; or songs as stems, stems.csv."
        ),
    ],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    noise: Annotated[
        Path | None, typer.Option(help="Noises: a folder, a manifest or MUSAN. Default: synthetic.")
    ] = None,
    rooms: Annotated[
        Path | None,
        typer.Option(help="Room responses: a folder, a manifest or AIR. Default: simulated."),
    ] = None,
    mixes: Annotated[
        Path | None,
        typer.Option(help="With stems.csv: whole recordings to sample, too; as MUSIC."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            help="Resume the run in --out with its settings; of the options only --steps, --mixes, "
            "--noise and --rooms count, and --encoder for a network of your own."
        ),
    ] = False,
    recipe: Annotated[
        Path | None, typer.Option(help="JSON file of settings (TrainConfig); options override it.")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="A trained network to start from.")
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="grafprint, samples, nafp, transformer, hash-transformer, or MODULE:CLASS.",
            show_default="grafprint; samples with stems.csv",
        ),
    ] = None,
    options: Annotated[str | None, typer.Option(help="Encoder options as JSON.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default="12400")] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=2, help="Pairs per step, over all processes.", show_default="256"),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(show_default="8e-05")] = None,
    final_learning_rate: Annotated[float | None, typer.Option(show_default="7e-07")] = None,
    temperature: Annotated[float | None, typer.Option(show_default="0.05")] = None,
    snr_db: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Lowest and highest SNR in dB.", show_default="-3 20"),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="bf16-mixed, 16-mixed, 32-true.", show_default="bf16-mixed"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, show_default="0")] = None,
    validate_every: Annotated[int | None, typer.Option(show_default="500")] = None,
    save_every: Annotated[int | None, typer.Option(show_default="200")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes for loading data.", show_default="0")
    ] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded music.")] = None,
) -> None:
    """Train a network on your own music.

    On several GPUs: torchrun --nproc-per-node N -m grafprint train ... Ctrl-C saves and stops.
    """
    with status("loading PyTorch and Lightning"):
        from grafprint.training import train as run_training
        from grafprint.training.config import TrainConfig, load_config
        from grafprint.training.stem_bank import is_stem_table

    if accelerator != "auto":
        check_device(accelerator, "--accelerator")
    if snr_db is not None and not snr_db[0] <= snr_db[1]:
        raise ConfigError(f"--snr-db is the lowest and the highest, not {snr_db[0]} {snr_db[1]}")
    for name in ("lightning", "lightning.pytorch.utilities.rank_zero"):  # the second has its own
        logging.getLogger(name).setLevel(logging.ERROR)
    if encoder is not None and ":" in encoder:
        import_network(encoder)
    stems = is_stem_table(music)
    if resume:
        saved = load_config(run / "config.json")
        config = replace(saved, steps=steps or saved.steps)
    else:
        config = TrainConfig() if recipe is None else load_config(recipe)
        if encoder is None and recipe is None and stems:
            encoder = "samples"
        given: dict[str, Any] = {
            "encoder": encoder, "encoder_options": parse_options(options), "steps": steps,
            "batch": batch, "learning_rate": learning_rate,
            "final_learning_rate": final_learning_rate, "temperature": temperature,
            "precision": precision, "seed": seed, "validate_every": validate_every,
            "save_every": save_every, "workers": workers,
            "degrade": None if snr_db is None else replace(config.degrade, snr_db=snr_db),
        }  # fmt: skip
        config = replace(config, **{k: v for k, v in given.items() if v is not None})
    interrupted = until_interrupted()
    with progress() as bar:
        prepare = "preparing songs" if stems else "preparing noises and rooms"
        bars = TrainingBars(bar, config.steps, prepare)

        def on_progress(p: Progress) -> None:
            rates = (p.validation or {}).items()
            hit = "".join(f"  {name} {100 * rate:.1f} %" for name, rate in rates)
            accuracy = f"in-batch accuracy {100 * p.accuracy:.1f} %"
            bars.report(p, f"loss {p.loss:.3f}  {accuracy}{hit}")

        result = run_training(
            config,
            music,
            run,
            mixes=mixes,
            noise=noise,
            rooms=rooms,
            cache=cache,
            resume=resume,
            start_from=start_from,
            accelerator=accelerator,
            on_progress=on_progress,
            on_step=bars.on_step,
            stop=interrupted,
            on_decode=bars.on_decode,
        )
    own = f" --encoder {config.encoder}" if ":" in config.encoder else ""
    own += f" --mixes {mixes}" if mixes else ""
    show_end(f"train {music} --out {run}{own}" if interrupted() else None, f"trained: {result}")


def parse_options(options: str | None) -> dict[str, Any] | None:
    """Options of a network from JSON; ConfigError if it is anything else."""
    try:
        values = None if options is None else json.loads(options)
    except json.JSONDecodeError as error:
        raise ConfigError(f"--options is not JSON: {error}") from error
    if not isinstance(values, dict | None):
        raise ConfigError(f"--options is a JSON object of names and values, not {options}")
    return values
