"""Write tracker modules: small MOD files with one sample and four channels."""

import math
import struct

ROWS = 64  # of a pattern
ROW_S = 6 * 0.02  # six ticks of a fiftieth of a second
_PERIODS = (428, 339, 285, 214)  # C, E, G, C: one note for each channel


def module(channels: int = 4, rows: tuple[int, ...] = (0, 16, 32, 48)) -> bytes:
    """A ProTracker module in which each channel plays notes of its own, one row apart.

    The last ``4 - channels`` channels are silent.
    """
    wave = bytes(round(100 * math.sin(2 * math.pi * n / 32)) & 0xFF for n in range(2048))
    # Name, length in words, finetune, volume, start and length of the loop in words.
    sample = struct.pack(">22sHBBHH", b"sine", len(wave) // 2, 0, 64, 0, 1)
    silent = struct.pack(">22sHBBHH", b"", 0, 0, 0, 0, 1)
    cells = [bytes(4)] * (4 * ROWS)
    for channel in range(channels):
        for row in rows:
            period = _PERIODS[channel]
            cells[4 * (row + channel) + channel] = bytes([period >> 8, period & 0xFF, 0x10, 0])
    head = b"four notes".ljust(20, b"\0") + sample + 30 * silent
    return head + bytes([1, 127]) + bytes(128) + b"M.K." + b"".join(cells) + wave
