"""``grafprint evaluate --recordings``: hit rates of real recordings with a table of truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from grafprint.cli.console import escape, out
from grafprint.cli.network import load_fingerprinter
from grafprint.cli.progress import progress

if TYPE_CHECKING:
    from grafprint.remote.address import Place


def measure(
    table: Path,
    library: Place,
    model: Path,
    encoder: str | None,
    device: str,
    by: str | None,
    lengths_s: tuple[float, ...],
    windows: int,
    tolerance_s: float,
    save: Path | None,
) -> None:
    """Identify the recordings of ``table``, print the rates and write them to ``save``."""
    from grafprint.evaluation import (
        RecordingsConfig,
        evaluate_recordings,
        read_truth,
        recordings_table,
    )
    from grafprint.evaluation.plots import recordings_figure
    from grafprint.remote.opening import open_library

    config = RecordingsConfig(lengths_s, windows, tolerance_s)
    fingerprinter = load_fingerprinter(model, device, library, encoder)
    with open_library(library, model_id=fingerprinter.model_id) as opened, progress() as bar:
        recordings = read_truth(table, opened, by)
        task = bar.add_task("recordings", total=len(recordings))
        report = evaluate_recordings(
            opened,
            fingerprinter,
            recordings,
            config,
            by,
            on_progress=lambda done, total: bar.update(task, completed=done),
            journal=None if save is None else save / "recordings.jsonl",
        )
    out.print(
        f"{len(recordings)} recordings, {report.references} references, {report.fingerprints} "
        f"fingerprints; at most {windows} windows of each length a clip, spread evenly. In % of "
        "the windows (95 % interval, clustered by clip)",
        highlight=False,
    )
    header, *rows = list(recordings_table(report))
    views: list[Table] = []
    for group, *texts in rows:
        if group:  # a table of its own: in one, a terminal's width would not do
            views.append(Table(header[1], title=escape(group), title_justify="left"))
            for length in header[2:]:
                views[-1].add_column(length, no_wrap=True)
        views[-1].add_row(*texts)
    for view in views:
        out.print(view)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
        text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
        (save / "recordings.json").write_text(text + "\n", encoding="utf-8")
        recordings_figure(report).savefig(save / "recordings.png", dpi=150)
        out.print(f"written: {save / 'recordings.json'}, {save / 'recordings.png'}")
