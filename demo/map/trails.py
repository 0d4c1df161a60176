"""The paths of queries over a map: where each second of a clip lies, and beside which track."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from demo import clips
from demo.clips import Clip, ClipError
from demo.map.chart import Chart
from demo.plots import AMBER, TEAL
from demo.studio import Studio


@dataclass(frozen=True, eq=False)
class Trail:
    """Where the segments of a clip lie on a map.

    ``xy [m, 2]`` are their places and ``rows [m]`` the nearest mapped rows (NaN and -1 where it
    is silent); segment ``i`` begins ``i`` hops into the clip.
    """

    name: str
    colour: str
    xy: np.ndarray
    rows: np.ndarray


def of_clip(studio: Studio, chart: Chart, clip: Clip, name: str, colour: str) -> Trail:
    """The path of a clip. Raises ClipError if it is shorter than a segment."""
    try:
        fingerprints = studio.fingerprinter(clip.samples)
    except ValueError as error:
        raise ClipError(str(error)) from error
    return Trail(name, colour, *chart.placer.place(fingerprints))


def of_visit(studio: Studio, chart: Chart, clip: Clip | None, heard: Clip | None) -> list[Trail]:
    """The paths of a visit's clip and of what has become of it; without one, of an example.

    A clip that is too short has none.
    """
    wanted = [(clip, "Your clip", TEAL), (heard, "Degraded", AMBER)]
    if clip is None and heard is None:
        wanted = [(clips.example(studio.examples), "An example", TEAL)]
    trails = []
    for taken, name, colour in wanted:
        if taken is not None and len(taken.samples) >= studio.fingerprinter.features.window_samples:
            trails.append(of_clip(studio, chart, taken, f"{name}, {taken.name}", colour))
    return trails


def near(chart: Chart, trail: Trail) -> list[dict[str, Any] | None]:
    """For each segment its second, its place, and the nearest track and second; None if silent."""
    library = chart.library
    ids, firsts, _ = library.spans(trail.rows)
    return [
        None if row < 0 else {
            "second": round(number * library.hop_s, 3),
            "x": round(float(xy[0]), 5),
            "y": round(float(xy[1]), 5),
            "track": (track := library.track(int(owner))).title,
            "artist": track.artist,
            "track_second": round(float(row - first) * library.hop_s, 3),
        }
        for number, (xy, row, owner, first) in enumerate(
            zip(trail.xy, trail.rows, ids, firsts, strict=True)
        )
    ]  # fmt: skip


def words(chart: Chart, trails: list[Trail]) -> str:
    """What the paths are and where they lead, as HTML."""
    if not trails:
        return "<p>Take a clip on the tab Identify to see its path over the map.</p>"
    return "".join(
        f'<p><i style="background:{trail.colour}"></i><b>{escape(trail.name)}</b>: '
        f"{_beside(chart, trail)}</p>"
        for trail in trails
    )


def _beside(chart: Chart, trail: Trail) -> str:
    found = [segment["track"] for segment in near(chart, trail) if segment]
    if not found:
        return "silent, so it has no place."
    title, count = Counter(found).most_common(1)[0]
    share = "all of it" if count == len(found) else f"{100 * count // len(found)} % of it"
    return f"the ring marks where it begins; {share} lies beside {escape(title)}."
