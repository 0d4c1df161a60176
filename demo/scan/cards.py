"""The parts of the tab Scan as HTML: progress, timeline, table, downloads."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path

from demo import downloads, work
from demo.cards import clock, count
from grafprint.scan import Gap, Scan, export
from grafprint.scan.plays import Play

_HUES = (174, 32, 262, 205, 340, 90, 290, 60)  # of tracks, in order of their first play
_TICKS = 6


def progress(scan: Scan, share: float) -> str:
    """The progress of a scan."""
    plays = count(len(scan.plays), "play")
    return work.bar(f"{clock(scan.duration_s)} min scanned, {plays} so far", share)


def summary(scan: Scan, share: float) -> str:
    """The result of a scan, and whether it was stopped."""
    unknown_s = sum(gap.end_s - gap.start_s for gap in scan.gaps if not gap.silent)
    stopped = " Stopped here." if share < 1 else ""
    return (
        f'<div class="gp-small" role="status">{count(len(scan.plays), "play")} in '
        f"{clock(scan.duration_s)} min, of which {clock(unknown_s)} min are unknown.{stopped}</div>"
    )


def timeline(scan: Scan) -> str:
    """A bar for each play in order of time; overlapping plays are on separate lanes."""
    if not scan.duration_s:
        return ""
    hues: dict[int, int] = {}
    lanes: list[float] = []  # the second from which each lane is free
    bars = ""
    for play in scan.plays:
        lane = next((n for n, free_s in enumerate(lanes) if free_s <= play.start_s), len(lanes))
        lanes[lane : lane + 1] = [play.end_s]
        hue = hues.setdefault(play.track.id, _HUES[len(hues) % len(_HUES)])
        bars += (
            f'<div class="play" style="{_extent(play, scan)}; --lane: {lane}; --hue: {hue}" '
            f'title="{escape(_describe(play))}"><span>{escape(play.track.title)}</span></div>'
        )
    for gap in scan.gaps:
        if gap.silent:
            bars += f'<div class="quiet" style="{_extent(gap, scan)}" title="silence"></div>'
    ticks = "".join(
        f'<div class="tick" style="left: {100 * n / _TICKS:.2f}%">'
        f"{clock(scan.duration_s * n / _TICKS)}</div>"
        for n in range(_TICKS)
    )
    plays = "; ".join(map(_describe, scan.plays)) or "no track of the library"
    return (
        f'<div class="gp-scan" role="img" aria-label="{escape(f"Timeline: {plays}")}" '
        f'style="--lanes: {max(1, len(lanes))}"><div class="lanes">{bars}</div>'
        f'<div class="ticks">{ticks}</div></div>'
    )


def table(scan: Scan) -> str:
    """Plays and gaps as a table."""
    rows = "".join(map(_row, scan.entries))
    head = (
        "<th class='n'>From</th><th class='n'>To</th><th>Track</th>"
        "<th class='n'>Section</th><th class='n'>Score</th>"
    )
    return (
        '<div class="gp-wide" tabindex="0" role="region" aria-label="Plays and gaps">'
        f'<table class="gp"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def files(scan: Scan, name: str) -> str:
    """Links to the scan as JSON, CSV and cue sheet, with the files embedded."""
    scan = replace(scan, path=name)
    texts = {
        "JSON": ("application/json", json.dumps(scan.to_json(), indent=1, ensure_ascii=False)),
        "CSV": ("text/csv", export.to_csv(scan)),
        "cue sheet": ("application/x-cue", export.to_cue(scan)),
    }
    return downloads.links(
        {
            kind: (f"{Path(name).stem}.{kind.split()[0].lower()}", mime, text.encode())
            for kind, (mime, text) in texts.items()
        }
    )


def _row(entry: Play | Gap) -> str:
    times = f'<td class="n">{clock(entry.start_s)}</td><td class="n">{clock(entry.end_s)}</td>'
    if isinstance(entry, Gap):
        what = "Silence" if entry.silent else "Unknown"
        return f'<tr class="gap">{times}<td>{what}</td><td></td><td></td></tr>'
    others = "".join(
        f'<span class="by">or {escape(track.title)}</span>' for track in entry.alternatives
    )
    part = f"{clock(entry.track_start_s)}–{clock(entry.track_end_s)}"
    return (
        f"<tr>{times}<td>{escape(entry.track.title)}"
        f'<span class="by">{escape(entry.track.artist)}</span>{others}</td>'
        f'<td class="n">{part}</td><td class="n">{entry.score:.2f}</td></tr>'
    )


def _extent(entry: Play | Gap, scan: Scan) -> str:
    left, right = (100 * min(1.0, s / scan.duration_s) for s in (entry.start_s, entry.end_s))
    return f"left: {left:.3f}%; width: {max(0.2, right - left):.3f}%"


def _describe(play: Play) -> str:
    return f"{clock(play.start_s)} to {clock(play.end_s)} {play.track.title}"
