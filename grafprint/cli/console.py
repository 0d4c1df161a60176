"""What all commands share: the application, consoles, error messages, progress bars, options."""

from __future__ import annotations

import functools
import logging
import math
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar
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

from grafprint.bundled import asset
from grafprint.errors import ConfigError, GraFPrintError, MissingPackageError

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

_P = ParamSpec("_P")
_T = TypeVar("_T")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
out = Console()
err = Console(stderr=True)
_debug = False  # --debug was given

BUNDLED_LIBRARY = asset("library")
BUNDLED_MODEL = asset("grafprint.safetensors")
FAST_MODEL = asset("grafprint-fast.safetensors")


def finite(value: float | None) -> float | None:
    """Option callback: refuse infinity and NaN (a range of Typer's lets NaN through)."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def positive(value: float | None) -> float | None:
    """Option callback: refuse all but finite numbers above 0."""
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value} is not a finite number above 0")
    return value


LibraryOption = Annotated[
    Path, typer.Option("--library", "-l", help="Folder of the library.", show_default="bundled")
]
OwnLibraryOption = Annotated[
    Path, typer.Option("--library", "-l", help="Folder of the library.", show_default=False)
]
ModelOption = Annotated[
    Path, typer.Option("--model", help="Network (.safetensors).", show_default="bundled")
]
DeviceOption = Annotated[
    str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1, mps ...")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from grafprint import __version__

        typer.echo(f"grafprint {__version__}")
        raise typer.Exit


@app.callback()
def set_up(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Identify music: which recording is it, and where in it?"""
    global _debug
    _debug = debug


def escape(text: str) -> str:
    """Text from a file or its name, to be printed as it is.

    Rich sees no markup in it, and control characters, which the terminal would obey, are replaced.
    """
    return markup.escape(_printable(text))


def _printable(text: str) -> str:
    odd = "\N{REPLACEMENT CHARACTER}"
    return "".join(odd if category(c) == "Cc" and c != "\n" else c for c in text)


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _printable(super().format(record))


def run(command: Callable[..., Any] = app, arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that a user can mend become one line and exit status 1.

    Those are the project's own and the system's (OSError): a full disk or a missing permission is
    no fault of the program. Any other exception is, and shows its traceback.
    """
    handler = RichHandler(console=err)
    handler.setFormatter(_PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    try:
        command(arguments)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except (GraFPrintError, OSError) as error:
        if _debug:
            raise
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)


def needs(extra: str) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Decorate a command that imports packages of an extra (pyproject.toml).

    If one is not installed, the command raises MissingPackageError, which says how to install it.
    """

    def decorate(command: Callable[_P, _T]) -> Callable[_P, _T]:
        @functools.wraps(command)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            try:
                return command(*args, **kwargs)
            except ModuleNotFoundError as error:
                package = (error.name or "").partition(".")[0]
                if package in ("", "demo", "grafprint"):
                    raise
                raise MissingPackageError(
                    f'the package {package} is not installed: run  pip install "grafprint[{extra}]"'
                ) from error

        return wrapped

    return decorate


def progress() -> Progress:
    """A progress bar on stderr with a count, elapsed and remaining time."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
    )


def until_interrupted() -> Callable[[], bool]:
    """Turn Ctrl-C and SIGTERM into a flag; returns a function that reads it."""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return lambda: interrupted


def load_fingerprinter(model: Path, device: str) -> Fingerprinter:
    """Load the network of ``--model`` on ``--device``. Imports torch, which takes seconds.

    Raises CheckpointError for a file that is not a network, ConfigError for a device that cannot
    be used.
    """
    from grafprint.fingerprint import Fingerprinter

    check_device(device)
    return Fingerprinter.load(model, device)


def check_device(device: str, option: str = "--device") -> None:
    """Raise ConfigError, which names the option, unless PyTorch can use ``device``."""
    import torch

    try:
        torch.zeros(1, device=device).cpu()
    # PyTorch says so in many ways; which one depends on how it was built.
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{option} {device} cannot be used: {reason}") from error


def clock(seconds: float) -> str:
    """Seconds as m:ss.s; negative times keep their sign."""
    sign, seconds = ("-" if seconds < -0.05 else ""), abs(seconds)
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{sign}{int(minutes)}:{rest:04.1f}"


def print_json(value: Any) -> None:
    """Print JSON for programs: on stdout, without colours."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
