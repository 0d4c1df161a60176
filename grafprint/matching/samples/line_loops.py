"""The search for lines through matches, compiled: a song has tens of thousands to try."""

from __future__ import annotations

import numpy as np

from grafprint.jit import njit


@njit
def heaviest_lines(
    song: np.ndarray,
    track: np.ndarray,
    weight: np.ndarray,
    number: np.ndarray,
    slopes: np.ndarray,
    limits: np.ndarray,
    counts: np.ndarray,
    members: np.ndarray,
    ends: np.ndarray,
    facts: np.ndarray,
) -> None:
    """Find lines, the heaviest of those through the strongest matches first.

    Args:
        song, track, weight, number: of ``n`` matches, in order of ``song``, of one segment the
            heaviest first; numbers are what ``members`` will hold. All four are overwritten.
        slopes: to be tried; the last one is 1.
        limits: ``[reach, tolerance, plain, gap, telling, near]``, lengths in segments.
        counts: ``[seeds, most]``: matches to try a line through, lines.
        members: ``[n]``, receives the matches of all lines, one line after the other.
        ends: ``[most]``, receives where in ``members`` each line ends; -1: there is no line.
        facts: ``[most, 4]``, receives speed, offset, whether the speed is told, and weight.
    """
    left, used = len(song), 0
    picked = np.zeros(len(song), np.uint8)
    found, best = np.empty(len(song), np.int64), np.empty(len(song), np.int64)
    line, best_line = np.empty(5), np.empty(5)
    totals = np.empty(len(slopes))
    for place in range(counts[1]):
        ends[place] = -1
    for place in range(counts[1]):
        if left == 0:
            break
        best_line[3] = -1.0
        for i in range(left):
            picked[i] = 0
        for _ in range(min(counts[0], left)):
            seed = -1
            for i in range(left):
                if picked[i] == 0 and (seed < 0 or weight[i] > weight[seed]):
                    seed = i
            picked[seed] = 1
            line_through(song, track, weight, left, seed, slopes, limits, totals, found, line)
            if line[3] > best_line[3]:
                for i in range(5):
                    best_line[i] = line[i]
                for i in range(int(line[4])):
                    best[i] = found[i]
        size = int(best_line[4])
        for i in range(size):
            members[used + i] = number[best[i]]
        used += size
        ends[place] = used
        for i in range(4):
            facts[place, i] = best_line[i]
        begin, end = song[best[0]] - limits[5], song[best[size - 1]] + limits[5]
        kept = 0
        for i in range(left):
            if song[i] < begin or song[i] > end:
                song[kept], track[kept] = song[i], track[i]
                weight[kept], number[kept] = weight[i], number[i]
                kept += 1
        left = kept


@njit
def line_through(
    song: np.ndarray,
    track: np.ndarray,
    weight: np.ndarray,
    left: int,
    seed: int,
    slopes: np.ndarray,
    limits: np.ndarray,
    totals: np.ndarray,
    found: np.ndarray,
    line: np.ndarray,
) -> None:
    """The heaviest line through the match ``seed`` of the first ``left``.

    ``found`` receives its members; ``line [5]`` speed, offset, told, weight, number of members.
    """
    reach, tolerance, plain, gap, telling = limits[0], limits[1], limits[2], limits[3], limits[4]
    at, there = song[seed], track[seed]
    begin, end = seed, seed + 1
    while begin > 0 and song[begin - 1] >= at - reach:
        begin -= 1
    while end < left and song[end] < at + reach + 1:
        end += 1
    for number in range(len(slopes)):
        totals[number] = 0.0
        heaviest = 0.0
        for i in range(begin, end):
            if i > begin and song[i] != song[i - 1]:
                totals[number] += heaviest
                heaviest = 0.0
            off = (track[i] - there) - slopes[number] * (song[i] - at)
            # Of a segment of the song the heaviest match counts.
            if abs(off) <= tolerance and weight[i] > heaviest:
                heaviest = weight[i]
        totals[number] += heaviest
    steep = 0
    for number in range(1, len(slopes) - 1):
        if totals[number] > totals[steep]:
            steep = number
    slope = slopes[steep] if plain * totals[steep] > totals[len(slopes) - 1] else 1.0
    offset = there - slope * at
    size = 0
    told = False
    for fitted in range(3):
        # The matches on the line, one a segment of the song: in runs, without long gaps.
        size, run, nearest, last = 0, 0, np.inf, -1
        best_run, best_size = 0, 0
        run_nearest = np.inf
        for i in range(left):
            if abs(track[i] - slope * song[i] - offset) > tolerance:
                continue
            if last >= 0 and song[i] == song[last]:
                continue
            if last >= 0 and song[i] - song[last] > gap:
                if run_nearest < nearest:
                    nearest, best_run, best_size = run_nearest, run, size - run
                run, run_nearest = size, np.inf
            found[size] = i
            size += 1
            last = i
            run_nearest = min(run_nearest, float(abs(song[i] - at)))
        if run_nearest < nearest:
            best_run, best_size = run, size - run
        if size == 0:  # the line was fitted away from its seed
            found[0], best_size = seed, 1
        for i in range(best_size):
            found[i] = found[best_run + i]
        size = best_size
        told = song[found[size - 1]] - song[found[0]] >= telling
        if not told or fitted == 2:
            break
        # The line of least squares, at a speed that a sample may have.
        total, middle_x, middle_y = 0.0, 0.0, 0.0
        for i in range(size):
            total += weight[found[i]]
            middle_x += weight[found[i]] * song[found[i]]
            middle_y += weight[found[i]] * track[found[i]]
        middle_x, middle_y = middle_x / total, middle_y / total
        above, below = 0.0, 0.0
        for i in range(size):
            apart = weight[found[i]] * (song[found[i]] - middle_x)
            above += apart * (track[found[i]] - middle_y)
            below += apart * (song[found[i]] - middle_x)
        slope = min(max(above / below, slopes[0]), slopes[len(slopes) - 2])
        offset = middle_y - slope * middle_x
    total, shift = 0.0, 0.0
    for i in range(size):
        total += weight[found[i]]
        shift += weight[found[i]] * (track[found[i]] - song[found[i]])
    if not told:
        slope, offset = 1.0, shift / total
    line[0], line[1], line[2] = slope, offset, 1.0 if told else 0.0
    line[3], line[4] = total, float(size)
