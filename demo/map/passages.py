"""The passages of the tracks at points of a map: their sound, and those most like them."""

from __future__ import annotations

import re
from typing import Any

from demo import clips
from demo.clips import Clip, ClipError
from demo.map.chart import Chart
from grafprint.remote.opening import AnyLibrary

PLAYED_S, OPENED_S = 5.0, 10.0
NEAREST, OF_A_TRACK = 8, 3  # passages that are listed, and those of one track


def cut(library: AnyLibrary, track_id: Any, hop: Any, duration_s: float) -> Clip:
    """The passage of a track that begins at a hop, as asked for by the browser.

    It has at least a second, or as much as the track has. Raises ClipError or LibraryError if there
    is no such passage or it cannot be read.
    """
    try:
        track, start_s = library.track(int(track_id)), max(0, int(hop)) * library.hop_s
    except (TypeError, ValueError, OverflowError) as error:
        raise ClipError("there is no such passage") from error
    return clips.from_track(
        library, track, min(start_s, max(0, track.duration_s - 1.1)), duration_s
    )


def to_file(clip: Clip) -> dict[str, str]:
    """A passage as a WAV file for the browser: its name, and its content as a data URI."""
    minutes, seconds = divmod(int(clip.offset_s), 60)
    title = re.sub(r'[\\/:*?"<>|\x00-\x1f]', " ", clip.name).strip(" .")[:80]
    return {"name": f"{title} {minutes}.{seconds:02d}.wav", "uri": clips.wav_uri(clip.samples)}


def nearest(chart: Chart, point: Any) -> list[tuple[int, float]]:
    """The points of the passages most like that of a point, nearest first, and how similar.

    Raises ClipError if there is no such point.
    """
    try:
        points, products = chart.placer.nearest(int(point), NEAREST, OF_A_TRACK)
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise ClipError("there is no such point") from error
    return [(int(p), round(float(s), 3)) for p, s in zip(points, products, strict=True)]
