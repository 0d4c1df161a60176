"""Say which files of folders are passed over, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from grafprint.cli.console import escape

if TYPE_CHECKING:
    from grafprint.audio.folders import Failure

_LINES = 20  # at most


def show_passed_over(passed_over: Sequence[Failure], console: Console) -> None:
    """Print a line for each file, and how many more there are."""
    from grafprint.library.add_file import shown

    for path, reason in passed_over[:_LINES]:
        line = f"passed over: {shown(Path(path))}: {reason}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    _count_more("passed over", passed_over, console)


def show_failures(what: str, failures: Sequence[Failure], console: Console) -> None:
    """Print a line for each failure, whose reason names the file, and how many more there are."""
    for failure in failures[:_LINES]:
        line = f"{what}: {failure.reason}"
        console.print(escape(line), highlight=False, soft_wrap=True)
    _count_more(what, failures, console)


def _count_more(what: str, failures: Sequence[Failure], console: Console) -> None:
    if (more := len(failures) - _LINES) > 0:
        console.print(f"{what}: {more} more", highlight=False)
