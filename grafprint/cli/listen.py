"""``grafprint listen``: identify sound from a microphone."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.answers import show_answer
from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    NOTHING_FOUND,
    ConfidenceOption,
    DeviceOption,
    EncoderOption,
    JsonOption,
    ModelOption,
    TopOption,
    err,
    escape,
    finite,
    out,
    print_json,
)
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.place import LibraryOption

if TYPE_CHECKING:
    import numpy as np


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(listen)


def listen(
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    encoder: EncoderOption = None,
    device: DeviceOption = "cpu",
    seconds: Annotated[
        float, typer.Option(min=1.0, callback=finite, help="Seconds to listen.")
    ] = 5.0,
    microphone: Annotated[
        str | None,
        typer.Option(
            help="Name of the microphone, from --devices, or 'computer' for what this computer "
            "plays. Default: the system's.",
            show_default=False,
        ),
    ] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and exit.")] = False,
    top: TopOption = 5,
    confidence: ConfidenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Identify what is playing, by the microphone."""
    import numpy as np

    from grafprint.audio import SAMPLE_RATE
    from grafprint.audio import microphone as capture
    from grafprint.matching import identify_audio
    from grafprint.remote.opening import open_library

    if devices and as_json:
        print_json(capture.devices())
        return
    if devices:
        for name in capture.devices():
            out.print(escape(name), highlight=False)
        return
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    with open_library(library, model_id=fingerprinter.model_id) as opened:
        recorded: list[np.ndarray] = []
        with (
            err.status("opening the microphone") as status,
            closing(capture.listen(device=microphone)) as blocks,
        ):
            for block in blocks:
                recorded.append(block)
                recorded_s = sum(map(len, recorded)) / SAMPLE_RATE
                level = _meter(capture.level_db(block))
                status.update(f"{level} {min(recorded_s, seconds):.1f} s")
                if recorded_s >= seconds:
                    break
        answer = identify_audio(
            opened, fingerprinter, np.concatenate(recorded), top_k=top, confidence=confidence
        )
    if as_json:
        print_json(answer.to_json())
    else:
        show_answer(answer, "the microphone")
    raise typer.Exit(0 if answer.identified else NOTHING_FOUND)


def _meter(level_db: float, width: int = 20) -> str:
    """A bar for a level of -60 to 0 dBFS."""
    filled = round(width * min(1.0, max(0.0, 1 + level_db / 60)))
    return f"[green]{'█' * filled}[/]{'·' * (width - filled)} {level_db:5.0f} dB"
