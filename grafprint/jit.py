"""``numba.njit`` as this project uses it: cached, without the GIL, with relaxed float order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., None])


def njit(function: _F) -> _F:
    # Without NaNs and signed zeros a maximum of many numbers is a vector instruction, and without
    # an order a sum. Loops compiled here avoid slices of arrays and calls that take arrays:
    # counting their references would take longer than the loops.
    fast = {"nnan", "nsz", "reassoc"}
    try:
        return cast(_F, numba.njit(cache=True, nogil=True, fastmath=fast)(function))
    except RuntimeError:  # there is no folder to keep what was compiled in
        return cast(_F, numba.njit(nogil=True, fastmath=fast)(function))
