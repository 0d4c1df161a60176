"""``grafprint identify`` and ``grafprint listen``: identify a clip, or sound from a microphone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    clock,
    err,
    escape,
    finite,
    load_fingerprinter,
    out,
    positive,
    print_json,
)

if TYPE_CHECKING:
    from grafprint.matching import Answer


def _check_confidence(value: float | None) -> float | None:
    if value is not None and not 0 < value < 1:
        raise typer.BadParameter(f"{value} is not between 0 and 1")
    return value


TopOption = Annotated[int, typer.Option("--top", min=1, help="Number of candidates to show.")]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--confidence",
        help="Confidence threshold for a match, between 0 and 1. Default: a false positive rate of "
        "about 1 %.",
        show_default=False,
        callback=_check_confidence,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(identify)
    app.command()(listen)


def identify(
    clip: Annotated[Path, typer.Argument(help="Audio or video file of 1 s or more.")],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    start: Annotated[
        float, typer.Option(min=0, callback=finite, help="Skip this many seconds of the clip.")
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            callback=positive,
            help="Use this many seconds of the clip. Default: all of it; of a clip longer than "
            "30 s, the loudest 30 s.",
            show_default=False,
        ),
    ] = None,
    top: TopOption = 5,
    confidence: ConfidenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Identify a clip: which track of the library it is, and where in the track it starts."""
    from grafprint.library import Library
    from grafprint.matching import identify_file

    fingerprinter = load_fingerprinter(model, device)
    with Library.open(library, model_id=fingerprinter.model_id) as opened:
        answer = identify_file(
            opened,
            fingerprinter,
            clip,
            start_s=start,
            duration_s=duration,
            top_k=top,
            confidence=confidence,
        )
    show(answer, str(clip), as_json)


def listen(
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
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
    from grafprint.audio import SAMPLE_RATE
    from grafprint.audio import microphone as capture
    from grafprint.library import Library
    from grafprint.matching import identify_audio

    if devices:
        for name in capture.devices():
            out.print(escape(name), highlight=False)
        return
    fingerprinter = load_fingerprinter(model, device)
    with Library.open(library, model_id=fingerprinter.model_id) as opened:
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
    show(answer, "the microphone", as_json)


def _meter(level_db: float, width: int = 20) -> str:
    """A bar for a level of -60 to 0 dBFS."""
    filled = round(width * min(1.0, max(0.0, 1 + level_db / 60)))
    return f"[green]{'█' * filled}[/]{'·' * (width - filled)} {level_db:5.0f} dB"


def show(answer: Answer, what: str, as_json: bool) -> None:
    """Print an answer: a sentence and a table for people, or JSON."""
    if as_json:
        print_json(answer.to_json())
        return
    best = answer.best
    if best is not None and answer.identified:
        by = f" by {best.track.artist}" if best.track.artist else ""
        at = clock(best.start_s)
        line = (
            f"{what} is [bold]{escape(best.track.title)}[/]{escape(by)}, from {at} into the track"
        )
        out.print(line, highlight=False, soft_wrap=True)
    else:
        out.print(f"{what} is [bold]not in this library[/]", highlight=False, soft_wrap=True)
    if not answer.matches:
        return
    title = "Candidates" if answer.identified else "Nearest candidates (no match)"
    columns = ("", "title", "artist", "at", "score", "confidence")
    view = Table(*columns, title=title, title_justify="left")
    same = " [dim](the same music)[/]"
    for number, match in enumerate(answer.matches, 1):
        view.add_row(
            str(number),
            escape(match.track.title) + same * match.alternative,
            escape(match.track.artist),
            clock(match.start_s),
            f"{match.score:.3f}",
            f"{100 * match.confidence:.0f} %",
        )
    out.print(view)
