"""Print scans in every format; those of several recordings are one text."""

from __future__ import annotations

from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.table import Table

from grafprint.cli.console import clock, escape, out, print_json, print_text

if TYPE_CHECKING:
    from grafprint.scan import Scan


class Format(StrEnum):
    """Output formats of a scan."""

    table = "table"
    json = "json"
    csv = "csv"
    cue = "cue"
    labels = "labels"
    chapters = "chapters"


# Formats that can describe one recording only.
OF_ONE = {Format.cue, Format.labels, Format.chapters}


class Printer:
    """Prints scans as they are made, and what could not be scanned; use it with ``with``.

    JSON of ``several`` recordings is an array, valid also if they are interrupted.
    """

    def __init__(self, form: Format, several: bool) -> None:
        self._form, self._several = form, several
        self._printed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._several and self._form is Format.json:
            print_text("]\n" if self._printed else "[]\n")

    def show(self, found: Scan) -> None:
        """Print a scan."""
        from grafprint.scan import export

        if self._form is Format.table:
            out.print(_table(found))
        elif self._form is Format.json:
            self._print_json(found.to_json())
        elif self._form is Format.csv:
            header = not self._printed
            print_text(export.to_csv(found, recording=self._several, header=header))
        else:
            ending = self._form if self._form is Format.cue else f"{self._form}.txt"
            print_text(export.ENDINGS[ending](found))
        self._printed += 1

    def show_failure(self, recording: str, reason: str) -> None:
        """Print, in JSON, that a recording could not be scanned; stderr says so to people."""
        if self._form is Format.json:
            self._print_json({"recording": recording, "error": reason})
            self._printed += 1

    def _print_json(self, values: dict[str, Any]) -> None:
        if self._several:
            print_text(",\n" if self._printed else "[\n")
        print_json(values)


def _table(found: Scan) -> Table:
    from grafprint.scan.plays import Play

    columns = ("from", "to", "title", "artist", "of the track", "speed", "score")
    view = Table(*columns, title=escape(found.path), title_justify="left")
    for entry in found.entries:
        times = clock(entry.start_s), clock(entry.end_s)
        if isinstance(entry, Play):
            title = escape(entry.track.title)
            title += "".join(f"\n[dim]or {escape(t.title)}[/]" for t in entry.alternatives)
            part = f"{clock(entry.track_start_s)}-{clock(entry.track_end_s)}"
            speed = f"{100 * (entry.speed - 1):+.1f} %" if abs(entry.speed - 1) > 0.002 else ""
            row = (title, escape(entry.track.artist), part, speed, f"{entry.score:.2f}")
            view.add_row(*times, *row)
        else:
            view.add_row(*times, "[dim]silence[/]" if entry.silent else "[dim]unknown[/]")
    return view
