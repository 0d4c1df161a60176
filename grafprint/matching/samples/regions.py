"""From matched segments to regions: those on one line, in a song and in the track it samples.

A sample that plays at ``speed`` times its tempo passes ``speed`` segments of the track in each
segment of the song. So its matches lie on a line of that slope, give or take what a match can be
off: half a hop, and a repetition of the music.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grafprint.matching.samples.line_loops import heaviest_lines

SPEEDS = (0.7, 1.5)  # of the sample; those of the training pairs
_GRID = np.geomspace(*SPEEDS, 27)  # steps of 3 %
_TOLERANCE = 1.0  # segments of the track that a match may be off its line
_GAP_S = 4.0  # of the song without a match, within a region
_TELLING_S = 4.0  # how far matches must be apart for the speed to be told
_SEEDS = 8  # lines are tried through so many of the strongest matches
_REACH_S = 30.0  # how far from these others count, so that an hour does not drown a loop
_PLAIN = 0.9  # a line at another speed than 1 must be better than this share of the plain one


@dataclass(frozen=True, eq=False)
class Pairs:
    """Segments of a song that match segments of a track: three arrays [n].

    ``song`` and ``track`` are numbers of segments, ``weight`` is how much each match says.
    """

    song: np.ndarray
    track: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        """Number of matches."""
        return len(self.song)

    def take(self, which: np.ndarray) -> Pairs:
        """Those selected by numbers or a bool array."""
        return Pairs(self.song[which], self.track[which], self.weight[which])


@dataclass(frozen=True, eq=False)
class Line:
    """Matches on one line: numbers [m] of the pairs, one for each segment of the song.

    In order of the song. The line passes ``track = speed * song + offset``; ``told`` says whether
    the matches are far enough apart to tell the speed.
    """

    members: np.ndarray
    speed: float
    offset: float
    told: bool
    weight: float


def find_lines(pairs: Pairs, hop_s: float, window_s: float, most: int = 50) -> list[Line]:
    """Lines through pairs of positive weight, the heaviest first; none shares its part of the song.

    At most ``most``.
    """
    rest = np.lexsort((-pairs.weight, pairs.song))
    rest = rest[pairs.weight[rest] > 0]
    # Segments that overlap by half belong to one region.
    near = window_s / hop_s / 2
    limits = [_REACH_S / hop_s, _TOLERANCE, _PLAIN, _GAP_S / hop_s, _TELLING_S / hop_s, near]
    members, ends = np.empty(len(rest), np.int64), np.empty(most, np.int64)
    facts = np.empty((most, 4))
    heaviest_lines(
        pairs.song[rest].astype(np.int64),
        pairs.track[rest].astype(np.int64),
        pairs.weight[rest].astype(np.float64),
        rest.copy(),
        np.append(_GRID, 1.0),
        np.array(limits),
        np.array([_SEEDS, most]),
        members,
        ends,
        facts,
    )
    ends = ends[ends >= 0]
    lines = [
        Line(part, float(speed), float(offset), bool(told), float(weight))
        for part, (speed, offset, told, weight) in zip(
            np.split(members[: ends[-1]], ends[:-1]) if len(ends) else [], facts, strict=False
        )
    ]
    return sorted(lines, key=lambda line: -line.weight)
