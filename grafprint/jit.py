"""``numba.njit`` with this project's options: cached, without the GIL, relaxed float order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., None])


def njit(function: _F) -> _F:
    """Compile a loop. Avoid array slices and calls with arrays in it: reference counts are slow."""
    # Ignoring NaNs and signed zeros turns maxima into vector instructions; a free order, sums.
    fast = {"nnan", "nsz", "reassoc"}
    try:
        return cast(_F, numba.njit(cache=True, nogil=True, fastmath=fast)(function))
    except RuntimeError:  # there is no writable folder for the cache
        return cast(_F, numba.njit(nogil=True, fastmath=fast)(function))
