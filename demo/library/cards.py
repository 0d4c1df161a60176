"""Texts of the tab Library as HTML: facts about a library, its tracks, and results of changes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from demo import texts, work
from demo.library import shelf
from demo.library.contents import contents
from grafprint.library import Track
from grafprint.library.add_folder import IndexReport, IndexStep

MOST_NAMED = 50  # files of each kind that a report lists


def facts(values: dict[str, Any]) -> str:
    """A library in numbers; see ``shelf.facts``."""
    density = values["mb_per_hour"]
    index = "exact search" if values["index"] == "Flat" else "approximate search"
    numbers = [
        ("Tracks", f"{values['tracks']:,}"),
        ("Hours of music", f"{values['hours']:,.2f}"),
        ("Fingerprints", f"{values['fingerprints']:,}"),
        ("On disk", f"{values['size_mb']:,.1f} MB"),
        ("Per hour", "–" if density is None else f"{density:,.1f} MB"),
        ("Index", f"{escape(values['index'])}, {index}"),
        ("Network", escape(values["network"])),
    ]
    cells = "".join(f"<div><dt>{word}</dt><dd>{value}</dd></div>" for word, value in numbers)
    licences = ", ".join(
        f"{escape(texts.licence(name)) or 'not stated'} ({count})"
        for name, count in list(values["licences"].items())[:8]
    )
    line = f'<div class="gp-small">Licences: {licences}</div>' if licences else ""
    return f'<dl class="gp-facts">{cells}</dl>{line}'


def tracks(
    found: Sequence[Track], search: str, total: int, order: str = "title", removable: bool = False
) -> str:
    """The tracks found by a search as a table (``contents``), or a sentence if none."""
    if not total:
        return '<div class="gp-small">This library is empty: add music below.</div>'
    if not found:
        return f'<div class="gp-small">No track matches “{escape(search.strip())}”.</div>'
    all_of_them = texts.count(total, "track")
    count = f"{len(found)} of {all_of_them}" if search.strip() else all_of_them
    table = contents(found, order, removable)
    return f'<div class="gp-small" role="status">{count}</div>{table}'


def progress(step: IndexStep) -> str:
    """The progress of adding files."""
    failed = f", {len(step.report.failed)} failed" if step.report.failed else ""
    files = texts.count(step.total, "file")
    words = f"{Path(step.path).name}: {step.done + 1} of {files}{failed}"
    return work.bar(words, step.done / step.total)


def summary(step: IndexStep) -> str:
    """The result of adding files, or of a part of them if that was stopped."""
    report: IndexReport = step.report
    kinds = [
        ("added", report.added),
        ("updated", report.updated),
        ("unchanged", report.unchanged),
        ("duplicate", report.duplicates),
    ]
    counts = ", ".join(f"{len(paths)} {kind}" for kind, paths in kinds if paths or kind == "added")
    title = f"{counts}, {len(report.failed)} failed"
    left = step.total - step.done
    rest = f"{texts.count(left, 'file')} not processed"
    stopped = f"<div>Stopped with {rest}.</div>" if left else ""
    none = "<div>There are no audio files in this folder.</div>" if not step.total else ""
    lists = "".join(_list(kind.capitalize(), map(_name, paths)) for kind, paths in kinds if paths)
    failed = [f"{_name(failure.path)}: {shelf.reason(failure)}" for failure in report.failed]
    lists += _list("Failed", failed) if failed else ""
    return card("found", "Stopped" if left else "Done", title, stopped + none + lists)


def card(kind: str, label: str, title: str, body: str = "") -> str:
    """A small card with the result of a change; ``title`` is text, ``body`` HTML."""
    return (
        f'<div class="gp-card small {kind}" role="status"><div class="gp-label">{label}</div>'
        f"<div><b>{escape(title[:1].upper() + title[1:])}</b></div>{body}</div>"
    )


def problem(error: Exception) -> str:
    """The card of a change that failed, with the reason."""
    return card("problem", "That did not work", str(error))


def _name(path: str) -> str:
    return Path(path).name


def _list(title: str, lines: Any) -> str:
    texts = list(lines)
    items = "".join(f"<li>{escape(text)}</li>" for text in texts[:MOST_NAMED])
    more = len(texts) - MOST_NAMED
    items += f"<li>and {more} more</li>" if more > 0 else ""
    is_open = " open" if title == "Failed" else ""
    return f"<details{is_open}><summary>{title} ({len(texts)})</summary><ul>{items}</ul></details>"
