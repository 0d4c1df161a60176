"""Recorded noises and rooms for the tab Degrade: the studio's folders, and visitors' own files."""

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
    """The folders' recorded noises and rooms by name, of the split that is for tests."""

    noises: dict[str, Path]
    rooms: dict[str, Path]

    @classmethod
    def of(cls, studio: Studio) -> Recordings:
        """Those of a studio; a folder that cannot be used is logged and has none."""
        return cls(_listed(studio.noise), _listed(studio.rooms))

    def noise(self, name: str) -> NoiseBank:
        """The noise of a name. Raises ClipError if there is none or it cannot be used."""
        return _noise(_file(self.noises, name))

    def room(self, name: str) -> np.ndarray:
        """The room response ``[m]`` of a name. Raises ClipError as :meth:`noise`."""
        return _room(_file(self.rooms, name))


def own_noise(path: str) -> NoiseBank:
    """Noise from a visitor's file. Raises ClipError if it cannot be used."""
    return _usable(path, lambda: NoiseBank([audio.load(path, duration_s=LONGEST_NOISE_S)]))


def own_room(path: str) -> np.ndarray:
    """A room response ``[m]`` from a visitor's file. Raises ClipError if it cannot be used."""
    return _usable(path, lambda: prepare_rir(audio.load(path, duration_s=LONGEST_ROOM_S)))


def _listed(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        return {}
    try:
        found = datasets.of_split(datasets.find_clips(folder), "test")
    except DataError as error:
        _log.warning("no recordings: %s", error)
        return {}
    return {source.path.stem: source.path for source in found[:MOST_LISTED]}


def _file(files: dict[str, Path], name: str) -> Path:
    if name not in files:
        raise ClipError(f"there is no recording “{name}” here")
    return files[name]


@lru_cache(maxsize=8)
def _noise(path: Path) -> NoiseBank:
    return _usable(path, lambda: NoiseBank([datasets.load_clip(path)]))


@lru_cache(maxsize=32)
def _room(path: Path) -> np.ndarray:
    return _usable(path, lambda: prepare_rir(datasets.load_clip(path)))


def _usable(path: str | Path, made: Callable[[], T]) -> T:
    """What ``made()`` gives; its errors name the file, but not its folder."""
    name = Path(path).name
    try:
        return made()
    except ValueError as error:
        message = str(error).replace(str(path), name)
        raise ClipError(message if name in message else f"{name}: {message}") from error
