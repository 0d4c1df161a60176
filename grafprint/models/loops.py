"""Loops that PyTorch has no fast operation for, compiled by Numba; they release the GIL."""

from __future__ import annotations

import numpy as np

from grafprint.jit import njit

_LANES = 16  # float32 numbers in a vector register


@njit
def nearest(
    closeness: np.ndarray,
    first: int,
    k: int,
    dilation: int,
    neighbours: np.ndarray,
    values: np.ndarray,
) -> None:
    """Find every ``dilation``-th of the ``k * dilation`` nodes closest to each, itself excluded.

    ``closeness [B, R, N]`` float32 compares nodes ``first .. first + R - 1`` with all; larger is
    closer; it is overwritten. ``neighbours`` int64 and ``values`` float32, both ``[B, R, k]``,
    receive the result, closest first. ``k * dilation < N``.

    Each row is read once, for the maxima of 16 interleaved parts. Removing the largest of these
    then takes reading one part again.
    """
    graphs, rows, n = closeness.shape
    nothing = np.float32(-np.inf)
    maxima = np.empty(_LANES, np.float32)
    steps, parts = (k - 1) * dilation + 1, n // _LANES
    fours = parts // 4 * 4
    for graph in range(graphs):
        for i in range(rows):
            closeness[graph, i, first + i] = nothing
            for lane in range(_LANES):
                maxima[lane] = nothing
            for part in range(0, fours, 4):  # four at a time, to write maxima less often
                for lane in range(_LANES):
                    j = part * _LANES + lane
                    one = closeness[graph, i, j]
                    two = closeness[graph, i, j + _LANES]
                    three = closeness[graph, i, j + 2 * _LANES]
                    four = closeness[graph, i, j + 3 * _LANES]
                    one = one if one > two else two
                    three = three if three > four else four
                    one = one if one > three else three
                    maxima[lane] = one if one > maxima[lane] else maxima[lane]
            for part in range(fours, parts):
                for lane in range(_LANES):
                    value = closeness[graph, i, part * _LANES + lane]
                    maxima[lane] = value if value > maxima[lane] else maxima[lane]
            for j in range(parts * _LANES, n):
                maxima[j % _LANES] = max(maxima[j % _LANES], closeness[graph, i, j])
            for place in range(steps):
                top = nothing
                for lane in range(_LANES):
                    top = maxima[lane] if maxima[lane] > top else top
                best = 0
                while best < _LANES - 1 and maxima[best] != top:
                    best += 1
                at = best
                while at < n and closeness[graph, i, at] != top:
                    at += _LANES
                if at >= n:  # all are NaN
                    at = min(best, n - 1)
                if place < steps - 1:
                    closeness[graph, i, at] = nothing
                    rest = nothing
                    for j in range(best, n, _LANES):
                        value = closeness[graph, i, j]
                        rest = value if value > rest else rest
                    maxima[best] = rest
                if place % dilation == 0:
                    neighbours[graph, i, place // dilation] = at
                    values[graph, i, place // dilation] = top


@njit
def unit_rows(bits: np.ndarray, unit: np.ndarray, unit_bits: np.ndarray) -> None:
    """Scale rows of bfloat16, given as ``bits [..., C]`` (uint16), to length 1 in float32.

    ``unit`` and ``unit_bits`` are one array ``[..., C]``, viewed as float32 and as uint32; it
    receives the result. A row of zeros stays zero.
    """
    graphs, n, channels = bits.shape
    for graph in range(graphs):
        for i in range(n):
            for c in range(channels):
                unit_bits[graph, i, c] = np.uint32(bits[graph, i, c]) << np.uint32(16)
            power = np.float32(0)
            for c in range(channels):
                power += unit[graph, i, c] * unit[graph, i, c]
            scale = np.float32(1) / max(np.sqrt(power), np.float32(1e-12))
            for c in range(channels):
                unit[graph, i, c] *= scale


@njit
def with_maxima(
    nodes: np.ndarray, neighbours: np.ndarray, groups: int, both: np.ndarray, sign: int
) -> None:
    """Put the channel-wise maximum over its neighbours beside each node.

    From ``nodes [B, N, C]`` and ``neighbours [B, N, k]`` it fills ``both [B, N, 2C]``: for each
    group of channels those of the node, then the maxima. Nodes are floating-point numbers viewed
    as integers whose highest bit is number ``sign``. If that bit is set, all others are flipped,
    which makes the integers sort as the numbers do; flipping again restores them.
    """
    low = (1 << sign) - 1
    graphs, n, channels = nodes.shape
    k, size = neighbours.shape[2], channels // groups
    for graph in range(graphs):
        for i in range(n):
            for group in range(groups):
                begin, to = group * size, 2 * group * size
                first = neighbours[graph, i, 0]
                for c in range(size):
                    both[graph, i, to + c] = nodes[graph, i, begin + c]
                    value = nodes[graph, first, begin + c]
                    both[graph, i, to + size + c] = value ^ ((value >> sign) & low)
                for place in range(1, k):
                    other = neighbours[graph, i, place]
                    for c in range(size):
                        value = nodes[graph, other, begin + c]
                        value = value ^ ((value >> sign) & low)
                        largest = both[graph, i, to + size + c]
                        both[graph, i, to + size + c] = value if value > largest else largest
                for c in range(size):
                    value = both[graph, i, to + size + c]
                    both[graph, i, to + size + c] = value ^ ((value >> sign) & low)


@njit
def maxima(
    nodes: np.ndarray, neighbours: np.ndarray, largest: np.ndarray, winners: np.ndarray
) -> None:
    """The channel-wise maximum over each node's neighbours, and which of them has it.

    From ``nodes [B, N, C]`` float32 and ``neighbours [B, N, k]`` it fills ``largest [B, N, C]``
    float32 and ``winners [B, N, C]`` uint8, places among the neighbours. Of equals, the first wins.
    """
    graphs, n, channels = nodes.shape
    for graph in range(graphs):
        for i in range(n):
            first = neighbours[graph, i, 0]
            for c in range(channels):
                largest[graph, i, c] = nodes[graph, first, c]
                winners[graph, i, c] = 0
            for place in range(1, neighbours.shape[2]):
                other = neighbours[graph, i, place]
                for c in range(channels):
                    value = nodes[graph, other, c]
                    more = value > largest[graph, i, c]
                    largest[graph, i, c] = value if more else largest[graph, i, c]
                    winners[graph, i, c] = np.uint8(place) if more else winners[graph, i, c]


@njit
def add_to_winners(
    gradient: np.ndarray, neighbours: np.ndarray, winners: np.ndarray, total: np.ndarray
) -> None:
    """Add the ``gradient [B, N, C]`` of :func:`maxima` to the nodes that won: ``total [B, N, C]``.

    Both are float32.
    """
    graphs, n, channels = gradient.shape
    for graph in range(graphs):
        for i in range(n):
            for place in range(neighbours.shape[2]):
                other = neighbours[graph, i, place]
                for c in range(channels):
                    won = winners[graph, i, c] == place
                    total[graph, other, c] += gradient[graph, i, c] if won else np.float32(0)
