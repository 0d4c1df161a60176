"""Render notes with a sound font (SF2, SF3), with tinysoundfont."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.signal import resample_poly

from assets.tagger.phrases import Note
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError

_RENDER_HZ = 2 * SAMPLE_RATE  # the player interpolates linearly: less of it is left after halving
_DRUMS = 128  # their bank
_KITS = (0, 8, 16, 32)  # standard, room, power, jazz


class Player(Protocol):
    """What plays notes, as tinysoundfont's ``Synth``: interleaved stereo samples, float32."""

    def noteon(self, chan: int, key: int, velocity: int) -> bool:
        """Strike a key."""

    def noteoff(self, chan: int, key: int) -> None:
        """Let go of it."""

    def generate(self, samples: int) -> memoryview:
        """The next samples."""


def load_player(font: Path, purpose: str) -> Any:
    """The module tinysoundfont. Raises DataError if it or the sound font is missing."""
    try:
        # By name: it is no dependency of the project.
        module = import_module("tinysoundfont")
    except ImportError as error:
        raise DataError(
            f"{purpose} tinysoundfont: pip install --no-deps tinysoundfont==0.3.7"
        ) from error
    if not font.is_file():
        raise DataError(f"{font}: there is no such sound font")
    return module


class Font:
    """A sound font. ``render`` is a function of its arguments alone."""

    def __init__(self, path: Path) -> None:
        tinysoundfont = load_player(path, "rendering needs")
        self._synth = tinysoundfont.Synth(samplerate=_RENDER_HZ, gain=-12)
        self._id = self._synth.sfload(str(path))
        self.kits = [
            kit for kit in _KITS if self._synth.sfpreset_name(self._id, _DRUMS, kit) is not None
        ]

    def render(
        self, program: int | None, notes: Sequence[Note], seconds: float, kit: int = 0
    ) -> np.ndarray:
        """Notes of a General MIDI program (from 0; None for drums) as samples ``[n]``, 16 kHz."""
        synth = self._synth
        synth.sounds_off()
        synth.program_select(0, self._id, 0, kit if program is None else program, program is None)
        sound = play(synth, notes, seconds)
        synth.sounds_off()
        return sound


def play(player: Player, notes: Sequence[Note], seconds: float) -> np.ndarray:
    """What a player makes of notes: mono samples ``[n]`` at 16 kHz, each note on time."""
    total = round(seconds * _RENDER_HZ)
    pieces, done = [np.zeros(0, np.float32)], 0
    for at, on, note in [*events(notes), (seconds, False, None)]:
        until = min(total, round(at * _RENDER_HZ))
        if until > done:
            both = np.frombuffer(player.generate(until - done), np.float32)
            pieces.append(both.reshape(-1, 2).mean(axis=1))
            done = until
        if note is None:
            break
        if on:
            player.noteon(0, note.key, note.velocity)
        else:
            player.noteoff(0, note.key)
    return np.asarray(resample_poly(np.concatenate(pieces), 1, 2), np.float32)


def events(notes: Sequence[Note]) -> list[tuple[float, bool, Note]]:
    """Time, whether it begins, and note, of each beginning and end; ends before beginnings."""
    found = [(note.start_s, True, note) for note in notes]
    found += [(note.start_s + note.length_s, False, note) for note in notes]
    return sorted(found, key=lambda event: (event[0], event[1]))
