"""From lines of matches to regions in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grafprint.matching.samples.regions import Line, Pairs
from grafprint.matching.samples.results import MatchedRegion


def regions_of(
    pairs: Pairs,
    lines: Sequence[Line],
    similarity: np.ndarray,
    probability: np.ndarray | None,
    hop_s: float,
    window_s: float,
    track_s: float,
    start_s: float = 0.0,
) -> tuple[MatchedRegion, ...]:
    """The region of each line, in the order of the song; they do not overlap there.

    ``similarity`` and ``probability`` are of the pairs, ``track_s`` is how long the track is,
    ``start_s`` where the song begins in its file.
    """
    regions = []
    for line in lines:
        songs = pairs.song[line.members]
        begin_s, end_s = songs[0] * hop_s, songs[-1] * hop_s + window_s

        def in_track(song_s: float, line: Line = line) -> float:
            # The line passes through segments' beginnings; what matches are their middles.
            half_s = window_s / 2
            track_s_there = line.speed * (song_s - half_s) + line.offset * hop_s + half_s
            return float(np.clip(track_s_there, 0.0, track_s))

        of_line = None if probability is None else float(probability[line.members].max())
        regions.append(
            MatchedRegion(
                float(begin_s) + start_s,
                float(end_s) + start_s,
                in_track(float(begin_s)),
                in_track(float(end_s)),
                line.speed if line.told else None,
                of_line,
                float(similarity[line.members].max()),
                len(line.members),
            )
        )
    return without_overlaps(sorted(regions, key=lambda region: region.start_s))


def without_overlaps(regions: Sequence[MatchedRegion]) -> tuple[MatchedRegion, ...]:
    """The same, where two overlap each up to the middle of what they share."""
    apart: list[MatchedRegion] = []
    for region in regions:
        if apart and (before := apart[-1]).end_s > region.start_s:
            middle_s = (before.end_s + region.start_s) / 2
            apart[-1] = _cut(before, before.start_s, middle_s)
            region = _cut(region, middle_s, region.end_s)
        apart.append(region)
    return tuple(apart)


def _cut(region: MatchedRegion, start_s: float, end_s: float) -> MatchedRegion:
    """A part of a region, in the song and in the track."""
    places = np.interp(
        [start_s, end_s],
        [region.start_s, region.end_s],
        [region.track_start_s, region.track_end_s],
    )
    return replace(
        region,
        start_s=start_s,
        end_s=end_s,
        track_start_s=float(places[0]),
        track_end_s=float(places[1]),
    )
