"""The parts of the tab Scan as HTML: progress, timeline, table, downloads."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html import escape
from pathlib import Path

from demo import downloads, work
from demo.texts import clock, count
from grafprint.scan import Gap, Scan, export
from grafprint.scan.plays import Play

_HUES = (174, 32, 262, 205, 340, 90, 290, 60)  # of tracks, in order of their first play
_TICKS = 6  # at most
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # between two ticks


def progress(scan: Scan, share: float) -> str:
    """The progress of a scan."""
    plays = count(len(scan.plays), "play")
    return work.bar(f"{clock(scan.duration_s)} min scanned, {plays} so far", share)


def summary(scan: Scan, share: float) -> str:
    """The result of a scan, and whether it was stopped."""
    unknown_s = sum(gap.end_s - gap.start_s for gap in scan.gaps if not gap.silent)
    stopped = " Stopped here." if share < 1 else ""
    unknown = f", of which {clock(unknown_s)} min are unknown" if round(unknown_s) else ""
    return (
        f'<div class="gp-small" role="status">{count(len(scan.plays), "play")} in '
        f"{clock(scan.duration_s)} min{unknown}.{stopped}</div>"
    )


def timeline(scan: Scan, share: float = 1.0) -> str:
    """A bar for each play in order of time; overlapping plays are on separate lanes.

    The axis is that of the whole recording, of which a ``share`` is scanned.
    """
    if not scan.duration_s:
        return ""
    whole_s = scan.duration_s / share if share else scan.duration_s
    hues: dict[int, int] = {}
    lanes: list[float] = []  # the second from which each lane is free
    bars = ""
    for play in scan.plays:
        lane = next((n for n, free_s in enumerate(lanes) if free_s <= play.start_s), len(lanes))
        lanes[lane : lane + 1] = [play.end_s]
        hue = hues.setdefault(play.track.id, _HUES[len(hues) % len(_HUES)])
        bars += (
            f'<button type="button" class="play" data-play="{_clickable(play)}" '
            f'style="{_extent(play, whole_s)}; --lane: {lane}; --hue: {hue}" '
            f'title="{escape(_describe(play))}"><span>{escape(play.track.title)}</span></button>'
        )
    for gap in scan.gaps:
        if gap.silent:
            bars += f'<div class="quiet" style="{_extent(gap, whole_s)}" title="silence"></div>'
    step_s = next((s for s in _STEPS_S if whole_s / s <= _TICKS), _STEPS_S[-1])
    ticks = "".join(
        f'<div class="tick" style="left: {100 * at_s / whole_s:.2f}%">{clock(at_s)}</div>'
        for at_s in range(0, math.ceil(whole_s), step_s)
        if at_s <= 0.9 * whole_s  # a later one would have no room for its label
    )
    plays = "; ".join(map(_describe, scan.plays)) or "no track of the library"
    return (
        f'<div class="gp-scan" role="group" aria-label="{escape(f"Timeline: {plays}")}" '
        f'style="--lanes: {max(1, len(lanes))}"><div class="lanes">{bars}</div>'
        f'<div class="ticks">{ticks}</div></div>'
    )


def table(scan: Scan) -> str:
    """Plays and gaps as a table."""
    rows = "".join(map(_row, scan.entries))
    head = (
        "<th class='n'>From</th><th class='n'>To</th><th>Track</th>"
        "<th class='n'>Section</th><th class='n'>Speed</th><th class='n'>Score</th>"
    )
    same = "" if any(map(_speed, scan.plays)) else " same-speed"
    return (
        '<div class="gp-wide" tabindex="0" role="region" aria-label="Plays and gaps">'
        f'<table class="gp{same}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def files(scan: Scan, name: str) -> str:
    """Links to the scan in every format, with the files embedded."""
    scan = replace(scan, path=name)
    stem = Path(name).stem
    values = json.dumps(scan.to_json(), indent=1, ensure_ascii=False)
    texts = {
        "JSON": (f"{stem}.json", "application/json", values),
        "CSV": (f"{stem}.csv", "text/csv", export.to_csv(scan)),
        "cue sheet": (f"{stem}.cue", "application/x-cue", export.to_cue(scan)),
        "labels": (f"{stem}.labels.txt", "text/plain", export.to_labels(scan)),
        "chapters": (f"{stem}.chapters.txt", "text/plain", export.to_chapters(scan)),
    }
    return downloads.links(
        {kind: (file, mime, text.encode()) for kind, (file, mime, text) in texts.items()}
    )


def _row(entry: Play | Gap) -> str:
    times = f'<td class="n">{clock(entry.start_s)}</td><td class="n">{clock(entry.end_s)}</td>'
    if isinstance(entry, Gap):
        what = "Silence" if entry.silent else "Unknown"
        return f'<tr class="gap">{times}<td>{what}</td><td></td><td></td><td></td></tr>'
    others = "".join(
        f'<span class="by">or {escape(track.title)}</span>' for track in entry.alternatives
    )
    part = f"{clock(entry.track_start_s)}–{clock(entry.track_end_s)}"
    return (
        f'<tr>{times}<td><button type="button" class="hear" data-play="{_clickable(entry)}" '
        f'title="Play the recording and the track">{escape(entry.track.title)}</button>'
        f'<span class="by">{escape(entry.track.artist)}</span>{others}</td>'
        f'<td class="n">{part}</td><td class="n">{_speed(entry)}</td>'
        f'<td class="n">{entry.score:.2f}</td></tr>'
    )


def _extent(entry: Play | Gap, whole_s: float) -> str:
    left, right = (100 * min(1.0, s / whole_s) for s in (entry.start_s, entry.end_s))
    return f"left: {left:.3f}%; width: {max(0.2, right - left):.3f}%"


def _clickable(play: Play) -> str:
    """What the page sends back when a play is clicked, as an attribute."""
    numbers = {
        "start_s": round(play.start_s, 2),
        "length_s": round(play.end_s - play.start_s, 2),
        "track": play.track.id,
        "track_start_s": round(play.track_start_s, 2),
    }
    return escape(json.dumps(numbers))


def _speed(play: Play) -> str:
    """The change of speed in percent, if there is one."""
    change = 100 * (play.speed - 1)
    return f"{change:+.1f} %".replace("-", "−") if abs(change) > 0.2 else ""


def _describe(play: Play) -> str:
    return f"{clock(play.start_s)} to {clock(play.end_s)} {play.track.title}"
