"""Noises and rooms from a folder, or made where there is none."""

from __future__ import annotations

from pathlib import Path

from grafprint import synthesis
from grafprint.augment import NoiseBank, RoomBank
from grafprint.datasets import load_clips


def noise_bank(where: str | Path | NoiseBank | None, split: str, made: int, seed: int) -> NoiseBank:
    """The noises of a split (see datasets.py); without a place, ``made`` synthetic ones.

    A bank is returned as it is.

    Raises DataError if none can be read.
    """
    if where is None:
        return NoiseBank(synthesis.noises(made, seed))
    if isinstance(where, NoiseBank):
        return where
    return NoiseBank(*load_clips(where, split))


def room_bank(where: str | Path | RoomBank | None, split: str, made: int, seed: int) -> RoomBank:
    """The room responses of a split (see datasets.py); without a place, ``made`` simulated ones.

    A bank is returned as it is.

    Raises DataError if none can be read.
    """
    if where is None:
        return RoomBank(synthesis.rooms(made, seed))
    if isinstance(where, RoomBank):
        return where
    return RoomBank(*load_clips(where, split))
