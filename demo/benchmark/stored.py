"""Stored results to compare an evaluation with: earlier ones of the visit, files, the project's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grafprint.bundled import app_folder
from grafprint.evaluation import MEASURES, Report
from grafprint.evaluation.intervals import Rate

Place = tuple[float, bool, float | None]  # length in seconds, reverb, SNR in dB


class StoredError(ValueError):
    """A file that holds no result; the message is for the visitor."""


@dataclass(frozen=True)
class Stored:
    """A result by name: the rates in 0..1 of each cell, by measure."""

    name: str
    cells: dict[Place, dict[str, Rate]]

    def rate(self, measure: str, place: Place) -> Rate | None:
        """The rate of a cell with its interval, if it was measured."""
        return self.cells.get(place, {}).get(measure)


def of_report(report: Report, name: str) -> Stored:
    """A finished evaluation."""
    return from_json(name, report.to_json())


def from_file(path: Path) -> Stored:
    """A result that this page, or ``grafprint evaluate --out``, has written.

    Raises StoredError for any other file.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoredError(f"“{path.name}” is not JSON: choose a result that was saved") from error
    try:
        return from_json(path.name, values)
    except (KeyError, TypeError, ValueError) as error:
        raise StoredError(
            f"“{path.name}” is not a result: choose the JSON of an evaluation"
        ) from error


def from_json(name: str, values: dict[str, Any]) -> Stored:
    """The cells of ``Report.to_json``, without those of re-recordings."""
    cells: dict[Place, dict[str, Rate]] = {}
    for cell in values["cells"]:
        if cell.get("rerecording"):
            continue
        snr = cell["snr_db"]
        place = (float(cell["length_s"]), bool(cell["reverb"]), None if snr is None else float(snr))
        cells[place] = {m: _rate(cell[m]) for m in MEASURES if m in cell}
    if not cells:
        raise ValueError("no cells")
    return Stored(name, cells)


def of_the_project() -> dict[str, Stored]:
    """The results of the page on results, by name; none outside a checkout."""
    folder = app_folder().parent / "benchmarks" / "results"
    found = {}
    for words, file in (("The bundled network", "released"), ("NAFP, a baseline", "nafp")):
        path = folder / f"table2-{file}.json"
        if path.is_file():
            values = json.loads(path.read_text(encoding="utf-8"))
            name = f"{words}, {values['references']:,} tracks"
            found[name] = from_json(name, values)
    return found


def _rate(values: Any) -> Rate:
    middle, low, high = map(float, values)
    if not 0 <= low <= middle <= high <= 1:
        raise ValueError("not a rate")
    return middle, low, high
