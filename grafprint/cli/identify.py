"""``grafprint identify`` and ``grafprint listen``: name a clip or what the microphone hears."""

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
    load_fingerprinter,
    out,
    print_json,
)

if TYPE_CHECKING:
    from grafprint.matching import Answer

TopOption = Annotated[int, typer.Option("--top", min=1, help="How many candidates to show.")]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--confidence",
        help="Confidence threshold for a match, between 0 and 1. Default: a false positive rate of "
        "about 1 %.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(identify)
    app.command()(listen)


def identify(
    clip: Annotated[Path, typer.Argument(help="Audio or video file, at least 1 s.")],
    library: LibraryOption = BUNDLED_LIBRARY,
    model: ModelOption = BUNDLED_MODEL,
    device: DeviceOption = "cpu",
    start: Annotated[float, typer.Option(help="Begin here in the clip (seconds).")] = 0.0,
    duration: Annotated[float | None, typer.Option(help="Use only so many seconds.")] = None,
    top: TopOption = 5,
    confidence: ConfidenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which recording of the library a clip is, and where in it the clip begins."""
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
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to listen.")] = 5.0,
    microphone: Annotated[str | None, typer.Option(help="Name from --devices.")] = None,
    devices: Annotated[bool, typer.Option("--devices", help="List microphones and stop.")] = False,
    top: TopOption = 5,
    confidence: ConfidenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Listen to the microphone and say what is playing."""
    from grafprint.audio import microphone as capture
    from grafprint.library import Library
    from grafprint.matching import identify_audio

    if devices:
        for name in capture.devices():
            out.print(escape(name), highlight=False)
        return
    fingerprinter = load_fingerprinter(model, device)
    with Library.open(library, model_id=fingerprinter.model_id) as opened:
        heard: list[np.ndarray] = []
        with (
            err.status("opening the microphone") as status,
            closing(capture.listen(device=microphone)) as blocks,
        ):
            for block in blocks:
                heard.append(block)
                have = sum(map(len, heard)) / 16_000
                status.update(f"{_meter(capture.level_db(block))} {min(have, seconds):.1f} s")
                if have >= seconds:
                    break
        answer = identify_audio(
            opened, fingerprinter, np.concatenate(heard), top_k=top, confidence=confidence
        )
    show(answer, "the microphone", as_json)


def _meter(level_db: float, width: int = 20) -> str:
    """A bar for -60..0 dBFS."""
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
    view = Table("", "title", "artist", "at", "score", "confidence", title=title,
                 title_justify="left")  # fmt: skip
    same = " [dim](the same music)[/]"
    for number, match in enumerate(answer.matches, 1):
        view.add_row(
            str(number), escape(match.track.title) + same * match.alternative,
            escape(match.track.artist),
            clock(match.start_s), f"{match.score:.3f}", f"{100 * match.confidence:.0f} %",
        )  # fmt: skip
    out.print(view)
