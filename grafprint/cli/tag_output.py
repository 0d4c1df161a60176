"""Print what clips sound like: tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from grafprint.cli.clip_files import Outcome, show_failed
from grafprint.cli.console import clock, escape, out, print_text
from grafprint.cli.tables import table

if TYPE_CHECKING:
    from grafprint.tagging import ClipTags

CSV_COLUMNS = (
    "path", "duration_s", "label", "probability", "peak", "peak_start_s", "peak_end_s", "error",
)  # fmt: skip
CSV_COLUMNS_OVER_TIME = ("path", "start_s", "end_s", "label", "probability", "error")
_SURE = 0.5  # from which probability on a clip is said to sound like its likeliest label


def show_clip(clip: str, tags: ClipTags, top: int, least: float, over_time: bool) -> None:
    """Print what one clip sounds like: a sentence, and a table of its labels."""
    found = tags.tags(top, least)
    if not found:
        out.print(f"{escape(clip)} {_why_none(tags, least)}", highlight=False, soft_wrap=True)
        return
    likeliest = f"[bold]{escape(found[0].label)}[/]"
    says = (
        f"sounds like {likeliest}"
        if found[0].probability >= _SURE
        else f"sounds like no label for certain; {likeliest} is the likeliest"
    )
    out.print(f"{escape(clip)} {says}", highlight=False, soft_wrap=True)
    rows = [
        (
            escape(tag.label),
            percent(tag.probability),
            percent(tag.peak),
            f"{clock(tag.peak_s[0])} to {clock(tag.peak_s[1])}",
        )
        for tag in found
    ]
    out.print(table(("label", "probability", "peak", "at"), rows))
    if over_time:
        _show_over_time(tags, top, least)


def show_clips(
    outcomes: Sequence[Outcome[ClipTags]], top: int, least: float, over_time: bool
) -> None:
    """Print a table of the clips that have labels, and lists of the others."""
    tagged = [(outcome.clip, outcome.answer) for outcome in outcomes if outcome.answer]
    labelled = [(clip, tags) for clip, tags in tagged if tags.tags(1, least)]
    rows = [
        (
            escape(clip),
            clock(tags.duration_s),
            ", ".join(f"{escape(t.label)} {percent(t.probability)}" for t in tags.tags(top, least)),
        )
        for clip, tags in labelled
    ]
    if rows:
        out.print(table(("clip", "length", "sounds like"), rows))
    if over_time:
        for clip, tags in labelled:
            _show_over_time(tags, top, least, escape(clip))
    out.print(
        f"{len(rows)} tagged, {len(tagged) - len(rows)} without a label, "
        f"{len(outcomes) - len(tagged)} left out",
        highlight=False,
    )
    for clip, tags in tagged:
        if not tags.tags(1, least):
            line = f"without a label: {escape(clip)} {_why_none(tags, least)}"
            out.print(line, highlight=False, soft_wrap=True)
    show_failed(outcomes)


def _show_over_time(tags: ClipTags, top: int, least: float, title: str | None = None) -> None:
    found = tags.tags(top, least)
    numbers = [tags.labels.index(tag.label) for tag in found]
    rows = [
        (
            clock(float(begin)),
            clock(float(end)),
            *(("silent" if silent else percent(float(row[number]))) for number in numbers),
        )
        for begin, end, row, silent in zip(
            tags.begins_s, tags.ends_s, tags.windows, tags.silent, strict=True
        )
    ]
    out.print(table(("from", "to", *(escape(tag.label) for tag in found)), rows, title))


def _why_none(tags: ClipTags, least: float) -> str:
    if tags.is_silent:
        return "is [bold]silent[/]: it has no labels"
    return f"has [bold]no label[/] of {percent(least)} or more (--least)"


def print_as_csv(
    outcomes: Sequence[Outcome[ClipTags]], top: int, least: float, over_time: bool
) -> None:
    """Print a row for each label of a clip, and of each part of it; one for a clip without any."""
    text = io.StringIO()
    columns = CSV_COLUMNS_OVER_TIME if over_time else CSV_COLUMNS
    rows = csv.DictWriter(text, columns, restval="", lineterminator="\n", extrasaction="ignore")
    rows.writeheader()
    for outcome in outcomes:
        tags = outcome.answer
        found = tags.to_json(top, least, over_time=over_time) if tags else {}
        listed = list(_rows_over_time(found) if over_time else found.get("tags", ()))
        for row in listed or [{}]:
            rows.writerow({"path": outcome.clip, "error": outcome.error, **found, **row})
    print_text(text.getvalue())


def _rows_over_time(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in found.get("over_time", ()):
        for label, probability in part["probabilities"].items():
            yield {**part, "label": label, "probability": probability}


def percent(probability: float) -> str:
    """A probability as text."""
    return f"{100 * probability:.0f} %"
