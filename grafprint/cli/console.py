"""What all commands share: the application, consoles, exit statuses, error messages, options."""

from __future__ import annotations

import functools
import io
import logging
import math
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar
from unicodedata import category

import typer
from rich import markup
from rich.console import Console

from grafprint.bundled import SAMPLES_ENCODER, SAMPLES_LIBRARY, asset
from grafprint.errors import GraFPrintError, MissingPackageError

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Plain help: what Typer needs for a framed one takes as long as all the rest of --help.
app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
# Names are shown as they are: ":heart:" in a title is no sign.
out = Console(emoji=False)
err = Console(stderr=True, emoji=False)
_debug = False  # --debug was given
_as_json = False  # --json was given: errors are JSON, too

NOTHING_FOUND = 1  # exit status: it worked, but found nothing
FAILED = 2  # exit status of errors, as of wrong usage

BUNDLED_LIBRARY = asset("library")
BUNDLED_MODEL = asset("grafprint.safetensors")
BUNDLED_SAMPLES = asset(SAMPLES_LIBRARY)
FAST_MODEL = asset("grafprint-fast.safetensors")
SAMPLES_MODEL = asset(SAMPLES_ENCODER)


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


ModelOption = Annotated[
    Path,
    typer.Option(
        "--model",
        help="Network (.safetensors). Default: the library's own, otherwise the bundled one.",
        show_default=False,
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="MODULE:CLASS",
        help="The class of a network of your own, in this folder or an installed package. Its code "
        "is imported only if it is named here.",
        show_default=False,
    ),
]
TaggerOption = Annotated[
    Path | None,
    typer.Option(
        "--tagger",
        help="Tagger (.safetensors) of train-tagger. Default: the bundled one.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1, mps ...")
]


def note_json(value: bool) -> bool:
    """Say whether errors are to be JSON, too; returns the value, as option callbacks do."""
    global _as_json
    _as_json = value
    return value


JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print JSON for programs, errors included.", callback=note_json),
]


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
    note_json(False)


def escape(text: str) -> str:
    """Text from a file or its name, to be printed as it is: without markup, and printable."""
    return markup.escape(printable(text))


def printable(text: str) -> str:
    """Text without control characters, which the terminal would obey."""
    odd = "\N{REPLACEMENT CHARACTER}"
    return "".join(odd if category(c) == "Cc" and c != "\n" else c for c in text)


class _ConsoleHandler(logging.Handler):
    """Prints warnings on stderr; Rich's own handler takes long to import."""

    def emit(self, record: logging.LogRecord) -> None:
        line = f"[yellow]{record.levelname.lower()}:[/] {escape(self.format(record))}"
        err.print(line, highlight=False, soft_wrap=True)


def run(command: Callable[..., Any] = app, arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors that a user can mend become one line and exit status 2.

    Those are the project's own and the system's (OSError): a full disk or a missing permission is
    no fault of the program. Any other exception is, and shows its traceback. Where the output's
    encoding lacks a character, it is replaced: a title must not end a command.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    logging.basicConfig(level=logging.WARNING, handlers=[_ConsoleHandler()])
    try:
        command(arguments)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(130)
    except (GraFPrintError, OSError) as error:
        if _debug:
            traceback.print_exc()
            sys.exit(FAILED)
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        if _as_json:
            print_json({"error": str(error), "kind": type(error).__name__})
        sys.exit(FAILED)


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


def show_end(stopped: str | None, finished: str) -> None:
    """Say that a long run has ``finished``, or, if it was stopped, with which command to resume."""
    text = finished if stopped is None else f"stopped; resume with: grafprint {stopped} --resume"
    out.print(text, soft_wrap=True)


def until_interrupted() -> Callable[[], bool]:
    """Turn Ctrl-C and SIGTERM into a flag; returns a function that reads it."""
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    return lambda: interrupted


def clock(seconds: float) -> str:
    """Seconds as m:ss.s; negative times keep their sign."""
    sign, seconds = ("-" if seconds < -0.05 else ""), abs(seconds)
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{sign}{int(minutes)}:{rest:04.1f}"


def print_json(value: Any) -> None:
    """Print JSON for programs: on stdout, without colours."""
    import json

    print_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_text(text: str) -> None:
    """Print text for programs (JSON, CSV, cue sheets) on stdout: UTF-8, whatever the locale."""
    typer.echo(text.encode("utf-8", "replace"), nl=False)
