"""What every command shares: the application, consoles, error lines, progress bars, the network."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import category

import typer
from rich import markup
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

app = typer.Typer(
    help="Identify music: which recording is it, and where in it?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console()
err = Console(stderr=True)

ROOT = Path(__file__).parent.parent.parent
BUNDLED_LIBRARY = ROOT / "assets" / "library"
BUNDLED_MODEL = ROOT / "assets" / "grafprint.safetensors"
FAST_MODEL = ROOT / "assets" / "grafprint-fast.safetensors"

LibraryOption = Annotated[
    Path, typer.Option("--library", "-l", help="Folder of the library.", show_default="bundled")
]
ModelOption = Annotated[
    Path, typer.Option("--model", help="Network to fingerprint with.", show_default="bundled")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps ...")]


def escape(text: str) -> str:
    """A text from a file or its name, so that it is shown as it is and nothing in it is obeyed.

    Neither as markup, nor by the terminal: of control characters only their place is shown.
    """
    return markup.escape(_visible(text))


def _visible(text: str) -> str:
    odd = "\N{REPLACEMENT CHARACTER}"
    return "".join(odd if category(c) == "Cc" and c != "\n" else c for c in text)


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _visible(super().format(record))


def run() -> None:
    """Run the command line; known errors end in one line on stderr and exit status 1."""
    handler = RichHandler(console=err)
    handler.setFormatter(_Visible("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        app()
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except (ValueError, RuntimeError, OSError) as error:
        # The project's own errors derive from these and say what to do.
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def progress() -> Progress:
    """A progress bar on stderr, with what is done, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    )


def until_interrupted() -> Callable[[], bool]:
    """From here on Ctrl-C and SIGTERM only set what the function that is returned says."""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return lambda: interrupted


def load_fingerprinter(model: Path, device: str) -> Fingerprinter:
    """The network of ``--model`` on ``--device``; torch is imported only now."""
    from grafprint.fingerprint import Fingerprinter

    return Fingerprinter.load(model, device)


def clock(seconds: float) -> str:
    """Seconds as m:ss.s; negative times keep their sign."""
    sign, seconds = ("-" if seconds < -0.05 else ""), abs(seconds)
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{sign}{int(minutes)}:{rest:04.1f}"


def print_json(value: Any) -> None:
    """JSON for programs, on stdout and without colours."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
