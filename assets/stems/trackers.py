"""Tracker modules as one sound for each channel, by libopenmpt.

The library is not a Python package: the caller names its file (Debian: ``libopenmpt0``). It is
called through its C interface; ``interactive``, its extension, mutes channels.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError

SUFFIXES = (".mod", ".xm", ".s3m", ".it", ".mptm", ".stm", ".mo3", ".669", ".mtm", ".ult", ".med")
LONGEST_S = 900.0  # of a module; a few play for hours
_STEP = SAMPLE_RATE // 50  # samples rendered at once: rows are known to 20 ms
_FUNCTIONS, _MUTE = 16, 10  # in the interactive interface, and the place of the one that mutes


@dataclass(frozen=True)
class Row:
    """When a row of a pattern begins: its place in the order of patterns, and its number there."""

    start_s: float
    order: int
    row: int


class Trackers:
    """Plays modules. Raises DataError if ``library`` cannot be loaded."""

    def __init__(self, library: Path) -> None:
        try:
            self._c = ctypes.CDLL(str(library))
            create = self._c.openmpt_module_ext_create_from_memory
        except (OSError, AttributeError) as error:
            raise DataError(
                f"{library}: not a usable libopenmpt ({error}); install it (Debian: libopenmpt0) "
                "and name its file"
            ) from error
        pointer, integer = ctypes.c_void_p, ctypes.c_int32
        create.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *[pointer] * 7]
        create.restype = pointer
        self._declare("openmpt_module_ext_destroy", None, pointer)
        self._declare("openmpt_module_ext_get_module", pointer, pointer)
        arguments = (pointer, ctypes.c_char_p, pointer, ctypes.c_size_t)
        self._declare("openmpt_module_ext_get_interface", ctypes.c_int, *arguments)
        for name in ("num_channels", "current_order", "current_row"):
            self._declare(f"openmpt_module_get_{name}", integer, pointer)
        size, read = ctypes.c_size_t, "openmpt_module_read_float_mono"
        self._declare(read, size, pointer, integer, size, pointer)

    def _declare(self, name: str, result: object, *arguments: object) -> None:
        function = getattr(self._c, name)
        function.restype, function.argtypes = result, arguments

    def channels(self, path: Path) -> int:
        """The number of channels. Raises DataError if the file is not a module."""
        with self._opened(path) as module:
            return int(self._c.openmpt_module_get_num_channels(self._plain(module)))

    def mix(self, path: Path) -> tuple[np.ndarray, list[Row]]:
        """All channels together, mono ``[n]`` at 16 kHz, and when each row begins."""
        with self._opened(path) as module:
            return self._play(module)

    def channel(self, path: Path, number: int) -> np.ndarray:
        """One channel alone ``[n]``; the sum of all of them is the mix."""
        with self._opened(path) as module:
            functions = (ctypes.c_void_p * _FUNCTIONS)()
            size = ctypes.sizeof(functions)
            if not self._c.openmpt_module_ext_get_interface(
                module, b"interactive", functions, size
            ):
                raise DataError("this libopenmpt cannot mute channels: it lacks 'interactive'")
            kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int)
            mute = kind(functions[_MUTE] or 0)
            for other in range(self._c.openmpt_module_get_num_channels(self._plain(module))):
                mute(module, other, int(other != number))
            return self._play(module)[0]

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        contents = path.read_bytes()
        module = self._c.openmpt_module_ext_create_from_memory(contents, len(contents), *[None] * 7)
        if not module:
            raise DataError(f"{path}: libopenmpt cannot read this module")
        try:
            yield module
        finally:
            self._c.openmpt_module_ext_destroy(module)

    def _plain(self, module: int) -> int:
        return int(self._c.openmpt_module_ext_get_module(module))

    def _play(self, module: int) -> tuple[np.ndarray, list[Row]]:
        plain = self._plain(module)
        pieces: list[np.ndarray] = []
        rows: list[Row] = []
        for number in range(round(LONGEST_S * SAMPLE_RATE) // _STEP):
            piece = np.empty(_STEP, np.float32)
            read = self._c.openmpt_module_read_float_mono(
                plain, SAMPLE_RATE, _STEP, piece.ctypes.data
            )
            if not read:
                break
            pieces.append(piece[:read])
            order = self._c.openmpt_module_get_current_order(plain)
            row = self._c.openmpt_module_get_current_row(plain)
            if not rows or (rows[-1].order, rows[-1].row) != (order, row):
                rows.append(Row(number * _STEP / SAMPLE_RATE, order, row))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32), rows
