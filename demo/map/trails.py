"""The paths of clips over a map: the position of each segment, and the nearest track."""

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
    """The positions of a clip's segments on a map.

    ``xy [m, 2]`` are the positions and ``rows [m]`` the nearest mapped rows (NaN and -1 for silent
    segments); segment ``i`` begins ``i`` hops into the clip.
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


def of_visit(studio: Studio, chart: Chart, clip: Clip | None, degraded: Clip | None) -> list[Trail]:
    """The paths of a visit's clip and of its degraded version, or of an example if there is none.

    A clip that is shorter than a segment has no path.
    """
    wanted = [(clip, "Your clip", TEAL), (degraded, "Degraded", AMBER)]
    if clip is None and degraded is None:
        wanted = [(clips.example(studio.examples), "Example", TEAL)]
    shortest = studio.fingerprinter.features.window_samples
    return [
        of_clip(studio, chart, sound, f"{name}, {sound.name}", colour)
        for sound, name, colour in wanted
        if sound is not None and len(sound.samples) >= shortest
    ]


def near(chart: Chart, trail: Trail) -> list[dict[str, Any] | None]:
    """For each segment its second, position, and nearest track and second; None if silent."""
    library = chart.library
    ids, firsts, _ = library.spans(trail.rows)
    return [
        None
        if row < 0
        else {
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
    ]


def words(chart: Chart, trails: list[Trail]) -> str:
    """A description of the paths, as HTML."""
    if not trails:
        return "<p>Choose a clip on the tab Identify to see its path over the map.</p>"
    return "".join(
        f'<p><i style="background:{trail.colour}"></i><b>{escape(trail.name)}</b>: '
        f"{_nearest_track(chart, trail)}</p>"
        for trail in trails
    )


def _nearest_track(chart: Chart, trail: Trail) -> str:
    titles = [segment["track"] for segment in near(chart, trail) if segment]
    if not titles:
        return "silent, so it has no path."
    title, count = Counter(titles).most_common(1)[0]
    share = "all of it" if count == len(titles) else f"{100 * count // len(titles)} % of it"
    return f"the ring marks its start; {share} is nearest to {escape(title)}."
