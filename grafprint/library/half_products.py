"""Inner products with float16 rows straight from the mapped file: compiled loops, no copies."""

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
    """Start loading an element of a two-dimensional array into the cache, without waiting."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind, byte, number = signature.args[0], ir.IntType(8).as_pointer(), ir.IntType(32)
        array = context.make_array(kind)(context, builder, values[0])
        place = cgutils.get_item_pointer(context, builder, kind, array, values[1:])
        signature_ir = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, signature_ir, "llvm.prefetch.p0")
        # For reading, into all cache levels, as data.
        hints = [ir.Constant(number, value) for value in (0, 3, 1)]
        builder.call(function, [builder.bitcast(place, byte), *hints])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), build


HALF_SCALE = np.float32(2.0**56)
_LINE = 32  # float16 numbers in a cache line


@njit
def row_products(
    halves: np.ndarray, rows: np.ndarray, queries: np.ndarray, products: np.ndarray
) -> None:
    """Fill ``products [c, n]`` (float32) with inner products of rows and queries.

    ``halves [R, D]`` holds float16 numbers as their bits (int16). Query ``n`` is multiplied with
    the rows ``rows [c, n]``; ``queries [n, D]`` (float32) are already times :data:`HALF_SCALE`.

    The bits of a float16, shifted to the exponent and mantissa of a float32, are the number times
    2^-112, that is 1 / HALF_SCALE^2. One factor is in the queries and the other is applied at the
    end, so nothing overflows. Shifting a sign-extended number copies the sign to three bits of the
    exponent, which are cleared. NaN and infinity become numbers of 65,536 and more.
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
    """Sum :func:`row_products` over a query's segments, for each candidate.

    ``places [3, c]`` (int64) are each candidate's start, first row and row count of its track.
    ``queries [n, D]``, at ``positions [n]`` of the query, meet the rows ``start + positions``, if
    these belong to the track. Fills ``sums [c]`` (float64) and ``counts [c]`` (int64), the number
    of products in each sum.

    Candidates are scattered over memory, and waiting for their rows takes much of the time. While
    one is computed, the rows of the next are prefetched: 1.1 to 1.4 times as fast (3 million rows,
    1,000 to 5,000 candidates).
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
