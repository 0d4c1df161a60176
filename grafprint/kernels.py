"""Loops that PyTorch has no quick operation for, compiled by Numba; they release the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba
import numpy as np

_LANES = 64
_F = TypeVar("_F", bound=Callable[..., None])


def _compiled(function: _F) -> _F:
    # Without NaNs and signed zeros a maximum of many numbers is a vector instruction. Slices of
    # arrays and calls with arrays are avoided below: they count references, and for longer than
    # the loops take.
    fast = {"nnan", "nsz"}
    try:
        return cast(_F, numba.njit(cache=True, nogil=True, fastmath=fast)(function))
    except RuntimeError:  # there is no folder to keep what was compiled in
        return cast(_F, numba.njit(nogil=True, fastmath=fast)(function))


@_compiled
def nearest(
    closeness: np.ndarray, k: int, dilation: int, neighbours: np.ndarray, values: np.ndarray
) -> None:
    """Every ``dilation``-th of the ``k * dilation`` closest nodes of each node, itself excluded.

    ``closeness [B, N, N]`` float32, larger is closer, is used up; ``neighbours`` int64 and
    ``values`` float32, both ``[B, N, k]``, are filled, closest first. ``k * dilation < N``.

    A row is read once, for the maxima of 64 interleaved parts; to take out the largest of these
    and look again changes one part only.
    """
    graphs, n = closeness.shape[:2]
    lanes = min(_LANES, n)
    maxima = np.empty(lanes, np.float32)
    for graph in range(graphs):
        for i in range(n):
            closeness[graph, i, i] = -np.inf
            for lane in range(lanes):
                maxima[lane] = closeness[graph, i, lane]
            for begin in range(lanes, n, lanes):
                for lane in range(min(lanes, n - begin)):
                    value = closeness[graph, i, begin + lane]
                    maxima[lane] = value if value > maxima[lane] else maxima[lane]
            for place in range((k - 1) * dilation + 1):
                best = 0
                for lane in range(1, lanes):
                    if maxima[lane] > maxima[best]:
                        best = lane
                top = maxima[best]
                found = best
                rest = np.float32(-np.inf)
                for j in range(best, n, lanes):
                    if closeness[graph, i, j] == top:
                        found = j
                closeness[graph, i, found] = -np.inf
                for j in range(best, n, lanes):
                    rest = max(rest, closeness[graph, i, j])
                maxima[best] = rest
                if place % dilation == 0:
                    neighbours[graph, i, place // dilation] = found
                    values[graph, i, place // dilation] = top


@_compiled
def with_maxima(nodes: np.ndarray, neighbours: np.ndarray, groups: int, both: np.ndarray) -> None:
    """Each node beside the channel-wise maximum of its neighbours.

    ``nodes [B, N, C]``, ``neighbours [B, N, k]``; ``both [B, N, 2C]`` is filled: the channels in
    ``groups``, in each those of the node, then the maxima.
    """
    graphs, n, channels = nodes.shape
    k, size = neighbours.shape[2], channels // groups
    for graph in range(graphs):
        for i in range(n):
            for group in range(groups):
                begin, to = group * size, 2 * group * size
                first = neighbours[graph, i, 0]
                for c in range(size):
                    both[graph, i, to + c] = nodes[graph, i, begin + c]
                    both[graph, i, to + size + c] = nodes[graph, first, begin + c]
                for place in range(1, k):
                    other = neighbours[graph, i, place]
                    for c in range(size):
                        value = nodes[graph, other, begin + c]
                        most = both[graph, i, to + size + c]
                        both[graph, i, to + size + c] = value if value > most else most
