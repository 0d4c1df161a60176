"""``grafprint index`` and ``grafprint library``: build a collection, look at it, change it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from grafprint.cli.console import (
    BUNDLED_LIBRARY,
    BUNDLED_MODEL,
    DeviceOption,
    LibraryOption,
    ModelOption,
    clock,
    err,
    load_fingerprinter,
    out,
    print_json,
)

commands = typer.Typer(help="Look at a library or change it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(index)
    app.add_typer(commands, name="library")
