"""What the tab Library says, as HTML: a library in numbers, its tracks, what a change has done."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from demo import cards, work
from demo.library import shelf
from grafprint.library import Track
from grafprint.library.add_folder import IndexReport, IndexStep

MOST_NAMED = 50  # files of each kind that a report lists by name


def facts(found: dict[str, Any]) -> str:
    """A library in numbers; see ``shelf.facts``."""
    density = found["mb_per_hour"]
    index = "exact search" if found["index"] == "Flat" else "approximate search"
    numbers = [
        ("Tracks", f"{found['tracks']:,}"),
        ("Hours of music", f"{found['hours']:,.2f}"),
        ("Fingerprints", f"{found['fingerprints']:,}"),
        ("On disk", f"{found['size_mb']:,.1f} MB"),
        ("Per hour", "–" if density is None else f"{density:,.1f} MB"),
        ("Index", f"{escape(found['index'])}, {index}"),
        ("Network", escape(found["network"])),
    ]
    cells = "".join(f"<div><dt>{word}</dt><dd>{value}</dd></div>" for word, value in numbers)
    licences = ", ".join(
        f"{escape(cards.licence(name)) or 'not stated'} ({count})"
        for name, count in list(found["licences"].items())[:8]
    )
    named = f'<div class="gp-small">Licences: {licences}</div>' if licences else ""
    return f'<dl class="gp-facts">{cells}</dl>{named}'


def tracks(found: Sequence[Track], search: str, total: int) -> str:
    """The tracks found by a search, as a table, or what to do where there are none."""
    if not total:
        return '<div class="gp-small">This library is empty: add music below.</div>'
    if not found:
        return f'<div class="gp-small">No track has “{escape(search.strip())}” in it.</div>'
    all_of_them = cards.many(total, "track")
    count = f"{len(found)} of {all_of_them}" if search.strip() else all_of_them
    return f'<div class="gp-small" role="status">{count}</div>{cards.contents(found)}'


def at_work(step: IndexStep) -> str:
    """The progress of an addition."""
    left_out = f", {len(step.report.failed)} left out" if step.report.failed else ""
    words = f"{Path(step.path).name}: {step.done + 1} of {cards.many(step.total, 'file')}{left_out}"
    return work.bar(words, step.done / step.total)


def done(step: IndexStep) -> str:
    """What an addition has done; it was stopped if files are left."""
    found: IndexReport = step.report
    kinds = [
        ("added", found.added),
        ("updated", found.updated),
        ("unchanged", found.unchanged),
        ("duplicate", found.duplicates),
    ]
    counts = ", ".join(f"{len(paths)} {kind}" for kind, paths in kinds if paths or kind == "added")
    title = f"{counts}, {len(found.failed)} left out"
    left = step.total - step.done
    rest = f"{cards.many(left, 'file')} not looked at"
    stopped = f"<div>Stopped with {rest}.</div>" if left else ""
    none = "<div>There are no audio files in this folder.</div>" if not step.total else ""
    lists = "".join(_list(kind.capitalize(), map(_name, paths)) for kind, paths in kinds if paths)
    failed = [f"{_name(failure.path)}: {shelf.reason(failure)}" for failure in found.failed]
    lists += _list("Left out", failed) if failed else ""
    return said("found", "Stopped" if left else "Done", title, stopped + none + lists)


def said(kind: str, label: str, title: str, body: str = "") -> str:
    """A small card of what a change has done; ``title`` is text, ``body`` HTML."""
    return (
        f'<div class="gp-card small {kind}" role="status"><div class="gp-label">{label}</div>'
        f"<div><b>{escape(title[:1].upper() + title[1:])}</b></div>{body}</div>"
    )


def _name(path: str) -> str:
    return Path(path).name


def _list(title: str, lines: Any) -> str:
    texts = list(lines)
    items = "".join(f"<li>{escape(text)}</li>" for text in texts[:MOST_NAMED])
    more = len(texts) - MOST_NAMED
    items += f"<li>and {more} more</li>" if more > 0 else ""
    is_open = " open" if title == "Left out" else ""
    return f"<details{is_open}><summary>{title} ({len(texts)})</summary><ul>{items}</ul></details>"
