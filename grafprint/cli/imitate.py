"""``grafprint imitate``: a fast network for building libraries, taught by one of these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_MODEL,
    DeviceOption,
    ModelOption,
    check_device,
    err,
    load_fingerprinter,
    needs,
    out,
    progress,
    until_interrupted,
)

if TYPE_CHECKING:
    from grafprint.training.distillation import DistillationProgress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(needs("train")(imitate))


def imitate(
    library: Annotated[
        Path, typer.Argument(help="A library whose music is where it was when it was indexed.")
    ],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    model: ModelOption = BUNDLED_MODEL,
    steps: Annotated[int | None, typer.Option(min=1, show_default="4800")] = None,
    hours: Annotated[
        float | None, typer.Option(help="Of music to learn from, at most.", show_default="20")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in --out.")] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Train a fast network that makes the fingerprints of --model, for building libraries.

    It learns from those that LIBRARY has, and is used by: grafprint index --model
    OUT/encoder.safetensors ...
    """
    from grafprint.library import Library
    from grafprint.training.distillation import ImitationConfig, load_config
    from grafprint.training.distillation import imitate as learn

    check_device(device)
    fingerprinter = load_fingerprinter(model, "cpu")
    config = load_config(run / "config.json") if resume else ImitationConfig()
    config = replace(config, steps=steps or config.steps, hours=hours or config.hours)
    interrupted = until_interrupted()
    with Library.open(library) as opened, progress() as bar:
        opened.check_query(fingerprinter)
        decoding = bar.add_task("decoding", total=None)
        training = bar.add_task("training", total=config.steps, visible=False)

        def on_progress(p: DistillationProgress) -> None:
            held_out = "" if p.held_out is None else f"  held out {p.held_out:.3f}"
            line = f"likeness {p.cosine_similarity:.3f}{held_out}"
            bar.update(training, completed=p.step, description=line, visible=True)
            if not err.is_terminal and p.step % 50 == 0:
                left = p.seconds_per_step * (p.steps - p.step) / 60
                err.print(f"step {p.step}/{p.steps}  {line}  {left:.0f} min left")

        made = learn(
            opened, fingerprinter.features, config, run, device=device, resume=resume,
            on_progress=on_progress, stop=interrupted,
            on_decode=lambda done, total: bar.update(decoding, completed=done, total=total),
        )  # fmt: skip
    if interrupted():
        again = f"grafprint imitate {library} --out {run} --resume"
        out.print(f"stopped; go on with: {again}", soft_wrap=True)
    else:
        out.print(f"trained: {made}", soft_wrap=True)
