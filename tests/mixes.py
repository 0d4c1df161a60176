"""Long recordings made of known tracks, as a radio or a DJ would, and what is played when."""

from dataclasses import dataclass, field

import numpy as np

from grafprint import audio
from grafprint.library import Library, Track

RATE = audio.SAMPLE_RATE


@dataclass
class Mix:
    """Samples at 16 kHz, and for every part of a track (start_s, end_s, track, track_start_s)."""

    library: Library
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    truth: list[tuple[float, float, Track, float]] = field(default_factory=list)

    @property
    def length_s(self) -> float:
        return len(self.samples) / RATE

    def play(self, track: Track, start_s: float, duration_s: float, fade_s: float = 0.0) -> None:
        """A part of a track, cross-faded with what was before."""
        path = self.library.audio_path(track)
        assert path is not None
        part = audio.load(path, start_s=start_s, duration_s=duration_s)
        at_s = self.add(part, fade_s)
        self.truth.append((at_s, at_s + len(part) / RATE, track, start_s))

    def add(self, part: np.ndarray, fade_s: float = 0.0) -> float:
        """Any sound, at the same loudness; returns where it begins."""
        part = (0.1 * part / max(1e-9, np.sqrt(np.mean(part**2)))).astype(np.float32)
        n = min(round(fade_s * RATE), len(self.samples), len(part))
        rise = np.sqrt(np.linspace(0, 1, n, dtype=np.float32))
        joined = np.zeros(len(self.samples) + len(part) - n, np.float32)
        joined[: len(self.samples)] = self.samples
        joined[len(self.samples) - n : len(self.samples)] *= rise[::-1]
        part[:n] *= rise
        begin = len(self.samples) - n
        joined[begin:] += part
        self.samples = joined
        return begin / RATE

    def silence(self, duration_s: float) -> None:
        self.samples = np.concatenate(
            [self.samples, np.zeros(round(duration_s * RATE), np.float32)]
        )

    def talk_over(self, start_s: float, end_s: float, voices: np.ndarray, gain: float) -> None:
        """Lower what plays by ``gain`` and put voices over it."""
        a, b = round(start_s * RATE), round(end_s * RATE)
        self.samples[a:b] *= gain
        self.samples[a:b] += 0.1 * voices[: b - a] / np.sqrt(np.mean(voices**2))
