"""Inner products with float16 rows as they lie on the disk: compiled loops, no copies."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from grafprint.jit import njit


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


@njit
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


@njit
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
