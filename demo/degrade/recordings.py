"""Recorded noises and rooms for the tab Degrade, from the studio's folders and visitors' files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from demo.clips import ClipError
from demo.studio import Studio
from grafprint import audio
from grafprint.audio import datasets
from grafprint.degradation.banks import NoiseBank
from grafprint.degradation.effects import prepare_rir
from grafprint.errors import DataError

LONGEST_NOISE_S, LONGEST_ROOM_S = 120.0, 10.0  # of visitors' own files
MOST_LISTED = 500

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recordings:
    """Recorded noises and rooms by name, from the test split of the folders."""

    noises: dict[str, Path]
    rooms: dict[str, Path]

    @classmethod
    def of(cls, studio: Studio) -> Recordings:
        """The recordings of a studio; a folder that cannot be used is logged and left out."""
        return cls(_list(studio.noise), _list(studio.rooms))

    def noise(self, name: str) -> NoiseBank:
        """A noise by name. Raises ClipError if there is none or it cannot be used."""
        return _noise(_file(self.noises, name))

    def room(self, name: str) -> np.ndarray:
        """A room response ``[m]`` by name. Raises ClipError as :meth:`noise` does."""
        return _room(_file(self.rooms, name))


def own_noise(path: str) -> NoiseBank:
    """Noise from a visitor's file. Raises ClipError if it cannot be used."""
    return _load(path, lambda: NoiseBank([audio.load(path, duration_s=LONGEST_NOISE_S)]))


def own_room(path: str) -> np.ndarray:
    """A room response ``[m]`` from a visitor's file. Raises ClipError if it cannot be used."""
    return _load(path, lambda: prepare_rir(audio.load(path, duration_s=LONGEST_ROOM_S)))


def _list(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    try:
        files = datasets.of_split(datasets.find_clips(folder), "test")
    except DataError as error:
        _log.warning("no recordings: %s", error)
        return {}
    return {source.path.stem: source.path for source in files[:MOST_LISTED]}


def _file(files: dict[str, Path], name: str) -> Path:
    if name not in files:
        raise ClipError(f"there is no recording “{name}”")
    return files[name]


@lru_cache(maxsize=8)
def _noise(path: Path) -> NoiseBank:
    return _load(path, lambda: NoiseBank([datasets.load_clip(path)]))


@lru_cache(maxsize=32)
def _room(path: Path) -> np.ndarray:
    return _load(path, lambda: prepare_rir(datasets.load_clip(path)))


def _load(path: str | Path, read: Callable[[], T]) -> T:
    """Call ``read``; its errors become ClipErrors that name the file, but not its folder."""
    name = Path(path).name
    try:
        return read()
    except ValueError as error:
        message = str(error).replace(str(path), name)
        raise ClipError(message if name in message else f"{name}: {message}") from error
