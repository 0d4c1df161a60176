"""``grafprint distill``: a fast network for building libraries, distilled from another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import (
    BUNDLED_MODEL,
    DeviceOption,
    EncoderOption,
    ModelOption,
    needs,
    show_end,
    until_interrupted,
)
from grafprint.cli.network import check_device, load_fingerprinter
from grafprint.cli.progress import progress

if TYPE_CHECKING:
    from grafprint.training.distillation import DistillationProgress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(needs("train")(distill))


def distill(
    library: Annotated[
        Path, typer.Argument(help="A library whose audio files have not moved since indexing.")
    ],
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default="4800")] = None,
    hours: Annotated[
        float | None, typer.Option(help="Hours of music to use at most.", show_default="20")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Resume the run in --out.")] = False,
    device: DeviceOption = "cpu",
) -> None:
    """Distil --model into a fast network for building libraries.

    The fast network learns to compute the fingerprints that --model made for LIBRARY. To use it:
    grafprint index --model OUT/encoder.safetensors ...
    """
    from grafprint.library import Library
    from grafprint.training.config import DistillationConfig, load_distillation_config
    from grafprint.training.distillation import distill as run_distillation

    check_device(device)
    fingerprinter = load_fingerprinter(model, "cpu", library, encoder)
    config = load_distillation_config(run / "config.json") if resume else DistillationConfig()
    config = replace(config, steps=steps or config.steps, hours=hours or config.hours)
    interrupted = until_interrupted()
    with Library.open(library) as opened, progress() as bar:
        opened.check_query(fingerprinter)
        decoding = bar.add_task("decoding", total=None)
        training = bar.add_task("training", total=config.steps, visible=False)

        def on_progress(p: DistillationProgress) -> None:
            held_out = "" if p.held_out is None else f"  held out {p.held_out:.3f}"
            line = f"cosine similarity {p.cosine_similarity:.3f}{held_out}"
            bar.update(training, completed=p.step, description=line, visible=True)

        def on_decode(done: int, total: int) -> None:
            bar.update(decoding, completed=done, total=total)
            if done == total:
                bar.update(training, visible=True)

        network = run_distillation(
            opened,
            fingerprinter.features,
            config,
            run,
            device=device,
            resume=resume,
            on_progress=on_progress,
            stop=interrupted,
            on_decode=on_decode,
        )
    again = f"distill {library} --out {run}"
    show_end(again if interrupted() else None, f"distilled: {network}")
