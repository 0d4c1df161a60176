"""What a producer does to a sample: tempo and pitch, filter, compression, chopping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.musical import compress, filter_band
from grafprint.degradation.tempo import play_at_speed, stretch

# How many of Sample100's 106 relations have which tempo ratio, in hundredths: query by reference.
SAMPLE100_TEMPO = {
    75: 1, 78: 1, 81: 1, 84: 1, 85: 1, 87: 2, 90: 1, 91: 1, 93: 3, 94: 1, 95: 4, 96: 2, 97: 6,
    98: 1, 100: 39, 102: 5, 103: 2, 104: 7, 105: 5, 106: 1, 107: 2, 108: 5, 109: 1, 112: 2, 115: 1,
    117: 1, 119: 1, 121: 1, 122: 1, 126: 3, 130: 2, 137: 1,
}  # fmt: skip
VARISPEED, TEMPO, APART = "pitch and tempo together", "tempo alone", "pitch apart from tempo"
KINDS = {VARISPEED: 0.5, TEMPO: 0.25, APART: 0.25}
SEMITONES = 3.0  # at most, either way, where pitch is apart
FILTERED, COMPRESSED, CHOPPED = 0.6, 0.3, 0.15
_LOW_HZ, _HIGH_HZ = (60.0, 600.0), (800.0, 6400.0)  # of high-passes and low-passes
_RATIOS = (1.5, 6.0)  # of compression
_SLICES = (4, 8)
_SHORTEST_S = 0.25  # of a slice
_FADE = round(0.003 * SAMPLE_RATE)  # at the cuts, as samplers do against clicks


@dataclass(frozen=True)
class Change:
    """What happens to a sample; ``speed`` is the tempo in the query by that in the song.

    ``low_hz`` and ``high_hz`` are those of a high-pass and a low-pass, ``compression`` is a ratio;
    None: not done. ``slices`` is the order in which equal slices are played; empty: not chopped.
    """

    kind: str
    speed: float
    semitones: float
    low_hz: float | None = None
    high_hz: float | None = None
    compression: float | None = None
    slices: tuple[int, ...] = ()

    @property
    def groups(self) -> dict[str, str]:
        """By which the bench groups its queries."""
        percent = 100 * abs(self.speed - 1)
        near = percent < 2.5 and abs(self.semitones) < 0.5
        return {
            "change": "next to none" if near else self.kind,
            "tempo": "within 2 %" if percent < 2.5 else "2-10 %" if percent < 10.5 else "over 10 %",
            "filter": "high-pass" if self.low_hz else "low-pass" if self.high_hz else "none",
            "compression": "yes" if self.compression else "no",
            "chopped": "yes" if self.slices else "no",
        }


def draw_change(loop_s: float, rng: np.random.Generator) -> Change:
    """Draw the change of a loop of ``loop_s`` seconds."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    counts = np.array(list(SAMPLE100_TEMPO.values()))
    speed = int(rng.choice(list(SAMPLE100_TEMPO), p=counts / counts.sum())) / 100
    semitones = {VARISPEED: 12 * math.log2(speed), TEMPO: 0.0}.get(
        kind, float(rng.uniform(-SEMITONES, SEMITONES))
    )
    low_hz = high_hz = compression = None
    if rng.random() < FILTERED:
        if rng.random() < 0.5:
            low_hz = round(_between(_LOW_HZ, rng), 1)
        else:
            high_hz = round(_between(_HIGH_HZ, rng), 1)
    if rng.random() < COMPRESSED:
        compression = round(float(rng.uniform(*_RATIOS)), 2)
    slices: tuple[int, ...] = ()
    if rng.random() < CHOPPED:
        count = int(rng.choice([n for n in _SLICES if loop_s / speed / n >= _SHORTEST_S]))
        while not slices or slices == tuple(range(count)):
            slices = tuple(rng.permutation(count).tolist())
    return Change(kind, speed, round(semitones, 4), low_hz, high_hz, compression, slices)


def change(samples: np.ndarray, change: Change) -> np.ndarray:
    """The changed loop, chopped too: ``[n / speed]``."""
    ratio = 2 ** (change.semitones / 12)
    played = samples
    if change.kind != VARISPEED and abs(math.log2(ratio / change.speed)) > 1e-4:
        played = stretch(played, ratio / change.speed)
    # Pitch and length are what the ratio makes of them; only the length is rounded.
    played = play_at_speed(played, ratio)
    wanted = round(len(samples) / change.speed)
    played = np.pad(played[:wanted], (0, max(0, wanted - len(played))))
    row = torch.from_numpy(played.astype(np.float32))[None]
    if change.low_hz or change.high_hz:
        row = filter_band(
            row, torch.tensor([change.low_hz or 0.0]), torch.tensor([change.high_hz or math.inf])
        )
    if change.compression:
        row = compress(row, torch.tensor([change.compression]))
    treated = row[0].numpy()
    parts = [treated[a:b] for a, b in slice_bounds(len(treated), change.slices)]
    return np.concatenate([_faded(part) for part in parts])


def slice_bounds(samples: int, slices: tuple[int, ...]) -> list[tuple[int, int]]:
    """Begin and end of each slice of ``samples``, in the order in which they are played."""
    bounds = np.linspace(0, samples, max(1, len(slices)) + 1).round().astype(int).tolist()
    return [(bounds[n], bounds[n + 1]) for n in slices or (0,)]


def _faded(samples: np.ndarray) -> np.ndarray:
    faded = samples.copy()
    count = min(_FADE, len(faded) // 2)
    faded[:count] *= np.linspace(0, 1, count)
    faded[len(faded) - count :] *= np.linspace(1, 0, count)
    return faded


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """Evenly in octaves."""
    low, high = np.log2(limits)
    return float(2 ** rng.uniform(low, high))
