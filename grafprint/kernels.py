"""Loops that PyTorch has no quick operation for, compiled by Numba; they release the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_LANES = 16  # numbers in a vector
_F = TypeVar("_F", bound=Callable[..., None])


def _compiled(function: _F) -> _F:
    # Without NaNs and signed zeros a maximum of many numbers is a vector instruction, and without
    # an order a sum. Slices of arrays and calls with arrays are avoided below: they count
    # references, and for longer than the loops take.
    fast = {"nnan", "nsz", "reassoc"}
    try:
        return cast(_F, numba.njit(cache=True, nogil=True, fastmath=fast)(function))
    except RuntimeError:  # there is no folder to keep what was compiled in
        return cast(_F, numba.njit(nogil=True, fastmath=fast)(function))


@_compiled
def nearest(
    closeness: np.ndarray,
    first: int,
    k: int,
    dilation: int,
    neighbours: np.ndarray,
    values: np.ndarray,
) -> None:
    """Every ``dilation``-th of the ``k * dilation`` closest nodes of each node, itself excluded.

    ``closeness [B, R, N]`` float32 is of nodes ``first .. first + R - 1`` to all; larger is closer;
    it is used up. ``neighbours`` int64 and ``values`` float32, both ``[B, R, k]``, are filled,
    closest first. ``k * dilation < N``.

    A row is read once, for the maxima of 16 interleaved parts; to take out the largest of these
    and look again changes one part only.
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
            for part in range(0, fours, 4):  # four at a time: the maxima are written less often
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
                found = best
                while found < n and closeness[graph, i, found] != top:
                    found += _LANES
                if found >= n:  # none is a number
                    found = min(best, n - 1)
                if place < steps - 1:
                    closeness[graph, i, found] = nothing
                    rest = nothing
                    for j in range(best, n, _LANES):
                        value = closeness[graph, i, j]
                        rest = value if value > rest else rest
                    maxima[best] = rest
                if place % dilation == 0:
                    neighbours[graph, i, place // dilation] = found
                    values[graph, i, place // dilation] = top


@_compiled
def unit_rows(bits: np.ndarray, unit: np.ndarray, unit_bits: np.ndarray) -> None:
    """Rows of bfloat16, given as ``bits [..., C]`` (uint16), at length 1 in float32.

    ``unit`` and ``unit_bits`` are one array ``[..., C]``, seen as float32 and as uint32. A row of
    zeros stays one.
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


@_compiled
def with_maxima(
    nodes: np.ndarray, neighbours: np.ndarray, groups: int, both: np.ndarray, sign: int
) -> None:
    """Each node beside the channel-wise maximum of its neighbours.

    ``nodes [B, N, C]``, ``neighbours [B, N, k]``; ``both [B, N, 2C]`` is filled: the channels in
    ``groups``, in each those of the node, then the maxima. Nodes are floating-point numbers given
    as integers of their bits, of which ``sign`` is the highest: with all other bits flipped where
    that is set, they are in order; to flip them again gives them back.
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
                        most = both[graph, i, to + size + c]
                        both[graph, i, to + size + c] = value if value > most else most
                for c in range(size):
                    value = both[graph, i, to + size + c]
                    both[graph, i, to + size + c] = value ^ ((value >> sign) & low)


@intrinsic
def _fetch(_: Any, array: types.Array, row: types.Integer, column: types.Integer) -> Any:
    """Have an element of a two-dimensional array brought to the cache, and do not wait for it."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind, byte, number = signature.args[0], ir.IntType(8).as_pointer(), ir.IntType(32)
        array = context.make_array(kind)(context, builder, values[0])
        place = cgutils.get_item_pointer(context, builder, kind, array, values[1:])
        form = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0")
        # To read, to all levels, data.
        how = [ir.Constant(number, value) for value in (0, 3, 1)]
        builder.call(function, [builder.bitcast(place, byte), *how])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), build


HALF_SCALE = np.float32(2.0**56)
_LINE = 32  # halves in a line of the cache


@_compiled
def row_products(
    halves: np.ndarray, rows: np.ndarray, queries: np.ndarray, products: np.ndarray
) -> None:
    """Inner products of stored rows with queries, without a copy of the rows: fills ``products``.

    ``halves [R, D]`` are float16 numbers as their bits (int16); ``rows [c, n]`` says which of them
    meets each of ``queries [n, D]`` float32, which are given times :data:`HALF_SCALE`;
    ``products [c, n]`` float32.

    The bits of a half, moved to the exponent and mantissa of a float32, are the number times
    2^-112: the square of one over the scale, so that nothing overflows on the way. To move them
    with their sign, widened to 32 bits, fills three bits of the exponent with it; these are
    cleared. NaN and infinity become numbers of 65,536 and more.
    """
    dim = halves.shape[1]
    for c in range(rows.shape[0]):
        for n in range(rows.shape[1]):
            row = rows[c, n]
            product = np.float32(0)
            for i in range(dim):
                bits = (np.int32(halves[row, i]) << 13) & ~0x70000000
                product += np.int32(bits).view(np.float32) * queries[n, i]
            products[c, n] = product * HALF_SCALE


@_compiled
def candidate_sums(
    halves: np.ndarray,
    places: np.ndarray,
    positions: np.ndarray,
    queries: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Sums over a query's segments of :func:`row_products` with the rows that candidates propose.

    ``places [3, c]`` int64 are start, first row and row count of each candidate's track:
    ``queries [n, D]``, at ``positions [n]`` of the query, meet the rows from the start on, as far
    as they are the track's. Fills ``sums [c]`` float64 and ``counts [c]`` int64, of how many.

    Rows lie all over the memory, and to wait for them takes most of the time: meanwhile those of
    the next candidate are fetched.
    """
    dim = halves.shape[1]
    for c in range(places.shape[1]):
        start, first = places[0, c], places[1, c]
        end = first + places[2, c]
        following = min(c + 1, places.shape[1] - 1)
        next_start, next_first = places[0, following], places[1, following]
        next_last = next_first + places[2, following] - 1
        total, count = np.float64(0), 0
        for n in range(len(positions)):
            ahead = max(next_first, min(next_last, next_start + positions[n]))
            for i in range(0, dim, _LINE):
                _fetch(halves, ahead, i)  # type: ignore[call-arg, arg-type]
            row = start + positions[n]
            if row < first or row >= end:
                continue
            product = np.float32(0)
            for i in range(dim):
                bits = (np.int32(halves[row, i]) << 13) & ~0x70000000
                product += np.int32(bits).view(np.float32) * queries[n, i]
            total += product * HALF_SCALE
            count += 1
        sums[c], counts[c] = total, count
