"""Noises and rooms from a folder, or made where there is none."""

from __future__ import annotations

from pathlib import Path

from grafprint import synthesis
from grafprint.augment import NoiseBank, RoomBank
from grafprint.data import load_clips


def noise_bank(where: str | Path | None, made: int, seed: int) -> NoiseBank:
    """The noises of a folder or manifest; without one, ``made`` synthetic ones.

    Raises DataError if none can be read.
    """
    return NoiseBank(*load_clips(where)) if where else NoiseBank(synthesis.noises(made, seed))


def room_bank(where: str | Path | None, made: int, seed: int) -> RoomBank:
    """The room responses of a folder or manifest; without one, ``made`` simulated ones.

    Raises DataError if none can be read.
    """
    return RoomBank(*load_clips(where)) if where else RoomBank(synthesis.rooms(made, seed))
