"""Print what clips are: sentences and tables for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from grafprint.cli.clip_files import Outcome, show_failed
from grafprint.cli.console import clock, escape, out, print_text
from grafprint.cli.tables import table, title_of

if TYPE_CHECKING:
    from grafprint.matching import Answer, Match

CSV_COLUMNS = (
    "path", "identified", "track", "title", "artist", "album", "track_path", "duration_s",
    "start_s", "score", "confidence", "error",
)  # fmt: skip


def show_answer(answer: Answer, what: str) -> None:
    """Print what one clip is, and a table of the candidates."""
    best = answer.best
    if answer.part:
        end_s = answer.query_start_s + answer.query_duration_s
        what += f", from {clock(answer.query_start_s)} to {clock(end_s)},"
    if best is not None and answer.identified:
        by = f" by {best.track.artist}" if best.track.artist else ""
        name = f"[bold]{title_of(best.track)}[/]{escape(by)}"
        line = f"{escape(what)} is {name}, from {clock(best.start_s)} into the track"
        if (speed := getattr(answer, "speed", 1.0)) != 1:  # found with --other-speeds
            line += f", {100 * abs(speed - 1):.1f} % {'faster' if speed > 1 else 'slower'}"
    else:
        line = f"{escape(what)} is [bold]not in this library[/]"
    out.print(line, highlight=False, soft_wrap=True)
    if not answer.matches:
        return
    same = " [dim](the same music)[/]"
    rows = [
        (
            str(place),
            str(match.track.id),
            title_of(match.track) + same * match.alternative,
            escape(match.track.artist),
            escape(match.track.album),
            clock(match.start_s),
            f"{match.score:.3f}",
            percent(match),
        )
        for place, match in enumerate(answer.matches, 1)
    ]
    columns = ("", "number", "title", "artist", "album", "at", "score", "confidence")
    title = "Candidates" if answer.identified else "Nearest candidates (no match)"
    out.print(table(columns, rows, title))


def show_outcomes(outcomes: Sequence[Outcome[Answer]]) -> None:
    """Print a table of the clips that were named, and lists of the others."""
    rows = [
        (
            escape(outcome.clip),
            str(match.track.id),
            title_of(match.track),
            escape(match.track.artist),
            escape(match.track.album),
            clock(match.track.duration_s),
            clock(match.start_s),
            percent(match),
        )
        for outcome in outcomes
        if (match := _reported(outcome.answer))
    ]
    columns = ("clip", "number", "title", "artist", "album", "length", "at", "confidence")
    if rows:
        out.print(table(columns, rows))
    unnamed = [outcome for outcome in outcomes if outcome.answer and not outcome.answer.identified]
    failed = [outcome for outcome in outcomes if outcome.answer is None]
    out.print(
        f"{len(rows)} named, {len(unnamed)} not in this library, {len(failed)} left out",
        highlight=False,
    )
    for outcome in unnamed:
        out.print(f"not in this library: {escape(outcome.clip)}", highlight=False, soft_wrap=True)
    show_failed(outcomes)


def print_as_csv(outcomes: Sequence[Outcome[Answer]]) -> None:
    """Print a row for each clip: the match, empty cells without one, or the error."""
    text = io.StringIO()
    rows = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    rows.writeheader()
    for outcome in outcomes:
        row: dict[str, Any] = {"path": outcome.clip, "error": outcome.error}
        if outcome.answer:
            row["identified"] = int(outcome.answer.identified)
        if match := _reported(outcome.answer):
            values = match.to_json()
            row |= {name: values[name] for name in CSV_COLUMNS if name in values and name != "path"}
            row["track_path"] = values["path"]
        rows.writerow(row)
    print_text(text.getvalue())


def _reported(answer: Answer | None) -> Match | None:
    """The match that is reported; None if there is no answer, or it is that nothing matched."""
    return answer.best if answer and answer.identified else None


def percent(match: Match) -> str:
    """How confident a match is, as text."""
    return f"{100 * match.confidence:.0f} %"
