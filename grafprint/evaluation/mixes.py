"""Mixes of known tracks, as on the radio or by a DJ, with the times at which each plays.

They serve to try out and to measure :mod:`grafprint.scan`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from grafprint import audio
from grafprint.audio import SAMPLE_RATE, AudioError
from grafprint.library.records import Track
from grafprint.remote.opening import AnyLibrary

LEVEL = 0.1  # root mean square of every part


@dataclass(frozen=True)
class Part:
    """From ``start_s`` to ``end_s`` the mix plays the track from ``track_start_s`` on."""

    track: Track
    start_s: float
    end_s: float
    track_start_s: float


@dataclass
class Mix:
    """Mono ``samples [n]`` at 16 kHz, and the parts of a library's tracks in them."""

    library: AnyLibrary
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    parts: list[Part] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        """Length so far, in seconds."""
        return len(self.samples) / SAMPLE_RATE

    def play(self, track: Track, start_s: float, duration_s: float, fade_s: float = 0.0) -> None:
        """Append a part of a track, cross-faded with the end of the mix.

        Raises AudioError if the track's audio cannot be read.
        """
        path = self.library.audio_path(track)
        if path is None:
            raise AudioError(f"the audio of {track.title!r} is not where the library says")
        part = audio.load(path, start_s=start_s, duration_s=duration_s)
        begin_s = self.add(part, fade_s)
        self.parts.append(Part(track, begin_s, begin_s + len(part) / SAMPLE_RATE, start_s))

    def add(self, part: np.ndarray, fade_s: float = 0.0) -> float:
        """Append any sound ``[m]``, cross-faded at equal power; returns where it starts, in s."""
        part = _at_level(part)
        n = min(round(fade_s * SAMPLE_RATE), len(self.samples), len(part))
        begin = len(self.samples) - n
        rise = np.sqrt(np.linspace(0, 1, n, dtype=np.float32))
        middle = self.samples[begin:] * rise[::-1] + part[:n] * rise
        self.samples = np.concatenate([self.samples[:begin], middle, part[n:]])
        return begin / SAMPLE_RATE

    def silence(self, duration_s: float) -> None:
        """Append silence."""
        nothing = np.zeros(round(duration_s * SAMPLE_RATE), np.float32)
        self.samples = np.concatenate([self.samples, nothing])

    def talk_over(self, start_s: float, voices: np.ndarray, duck_db: float = 6.0) -> None:
        """Mix ``voices [m]`` in from ``start_s`` on, with the music lowered meanwhile."""
        begin = round(start_s * SAMPLE_RATE)
        under = self.samples[begin : begin + len(voices)]
        under *= 10 ** (-duck_db / 20)
        under += _at_level(voices)[: len(under)]

    def write(self, path: Path) -> None:
        """Write a 16-bit WAV file."""
        wavfile.write(
            path, SAMPLE_RATE, np.round(self.samples.clip(-1, 1) * 32767).astype(np.int16)
        )


def _at_level(part: np.ndarray) -> np.ndarray:
    power = float(np.mean(np.square(part, dtype=np.float64))) if len(part) else 0.0
    return np.asarray(part * (LEVEL / max(1e-9, power**0.5)), np.float32)
