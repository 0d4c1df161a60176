"""Render notes with a sound font (SF2, SF3), with tinysoundfont."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from assets.tagger.phrases import Note
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import DataError

_RENDER_HZ = 2 * SAMPLE_RATE  # the player interpolates linearly: less of it is left after halving
_DRUMS = 128  # their bank
_KITS = (0, 8, 16, 32)  # standard, room, power, jazz


class Font:
    """A sound font. ``render`` is a function of its arguments alone."""

    def __init__(self, path: Path) -> None:
        try:
            # By name: it is no dependency of the project.
            tinysoundfont: Any = import_module("tinysoundfont")
        except ImportError as error:
            raise DataError(
                "rendering needs tinysoundfont: pip install --no-deps tinysoundfont==0.3.7"
            ) from error
        if not path.is_file():
            raise DataError(f"{path}: there is no such sound font")
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
        total = round(seconds * _RENDER_HZ)
        pieces, done = [], 0
        for at, on, note in events(notes):
            until = min(total, round(at * _RENDER_HZ))
            if until > done:
                pieces.append(self._generate(until - done))
                done = until
            if on:
                synth.noteon(0, note.key, note.velocity)
            else:
                synth.noteoff(0, note.key)
        if total > done:
            pieces.append(self._generate(total - done))
        synth.sounds_off()
        whole = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        return np.asarray(resample_poly(whole, 1, 2), np.float32)

    def _generate(self, samples: int) -> np.ndarray:
        both = np.frombuffer(self._synth.generate(samples), np.float32)
        return both.reshape(-1, 2).mean(axis=1)


def events(notes: Sequence[Note]) -> list[tuple[float, bool, Note]]:
    """Time, whether it begins, and note, of each beginning and end; ends before beginnings."""
    found = [(note.start_s, True, note) for note in notes]
    found += [(note.start_s + note.length_s, False, note) for note in notes]
    return sorted(found, key=lambda event: (event[0], event[1]))
