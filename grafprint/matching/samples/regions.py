"""From matched segments to regions: those on one line, in a song and in the track it samples.

A sample that plays at ``speed`` times its tempo passes ``speed`` segments of the track in each
segment of the song. So its matches lie on a line of that slope, give or take what a match can be
off: half a hop, and a repetition of the music.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    near = window_s / hop_s / 2  # segments that overlap by half belong to one region
    lines: list[Line] = []
    while len(rest) and len(lines) < most:
        seeds = rest[np.argsort(-pairs.weight[rest], kind="stable")[:_SEEDS]]
        line = max((_through(pairs, rest, int(s), hop_s) for s in seeds), key=lambda x: x.weight)
        lines.append(line)
        begin, end = pairs.song[line.members[0]] - near, pairs.song[line.members[-1]] + near
        rest = rest[(pairs.song[rest] < begin) | (pairs.song[rest] > end)]
    return sorted(lines, key=lambda line: -line.weight)


def _through(pairs: Pairs, rest: np.ndarray, seed: int, hop_s: float) -> Line:
    """The heaviest line through one match; ``rest`` is in order of the song, then of weight."""
    reach, at = _REACH_S / hop_s, pairs.song[seed]
    begin, end = np.searchsorted(pairs.song[rest], [at - reach, at + reach + 1])
    close = rest[begin:end]
    along = (pairs.song[close] - at).astype(np.float64)
    up = (pairs.track[close] - pairs.track[seed]).astype(np.float64)
    slopes = np.append(_GRID, 1.0)
    on = np.abs(up - slopes[:, None] * along) <= _TOLERANCE  # [slopes, n]: on each one's line
    # Of a segment of the song the heaviest match counts.
    first = np.flatnonzero(np.diff(along, prepend=np.nan) != 0)
    weights = np.maximum.reduceat(np.where(on, pairs.weight[close], 0), first, axis=1).sum(axis=1)
    steep = int(weights[:-1].argmax())
    slope = float(slopes[steep]) if _PLAIN * weights[steep] > weights[-1] else 1.0
    offset = float(pairs.track[seed] - slope * at)
    members = _run(pairs, rest, seed, slope, offset, hop_s)
    for _ in range(2):
        if not _tells(pairs, members, hop_s):
            break
        slope, offset = _fit(pairs, members)
        members = _run(pairs, rest, seed, slope, offset, hop_s)
    told = _tells(pairs, members, hop_s)
    if not told:
        shift = pairs.track[members] - pairs.song[members]
        slope, offset = 1.0, float(np.average(shift, weights=pairs.weight[members]))
    return Line(members, slope, offset, told, float(pairs.weight[members].sum()))


def _tells(pairs: Pairs, members: np.ndarray, hop_s: float) -> bool:
    """Whether matches are far enough apart for a speed."""
    return float(np.ptp(pairs.song[members])) * hop_s >= _TELLING_S


def _run(
    pairs: Pairs, rest: np.ndarray, seed: int, slope: float, offset: float, hop_s: float
) -> np.ndarray:
    """The matches on a line, one a segment of the song, without long gaps, around the seed's."""
    off = np.abs(pairs.track[rest] - slope * pairs.song[rest] - offset)
    on = rest[off <= _TOLERANCE]
    if not len(on):  # the line was fitted away from its seed
        return np.array([seed])
    members = on[np.unique(pairs.song[on], return_index=True)[1]]
    runs = np.split(members, np.flatnonzero(np.diff(pairs.song[members]) * hop_s > _GAP_S) + 1)
    return min(runs, key=lambda run: float(np.abs(pairs.song[run] - pairs.song[seed]).min()))


def _fit(pairs: Pairs, members: np.ndarray) -> tuple[float, float]:
    """The line of least squares, at a speed that a sample may have."""
    x, y = pairs.song[members].astype(float), pairs.track[members].astype(float)
    w = pairs.weight[members]
    middle_x, middle_y = np.average(x, weights=w), np.average(y, weights=w)
    apart = w * (x - middle_x)
    slope = float((apart * (y - middle_y)).sum() / (apart * (x - middle_x)).sum())
    slope = float(np.clip(slope, *SPEEDS))
    return slope, float(middle_y - slope * middle_x)
