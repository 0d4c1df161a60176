"""Mix stems to a clip: levels, what can still be heard, targets, and exact times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from assets.tagger.activity import envelope_db, intervals, level_db
from assets.tagger.labels import Labels
from assets.tagger.stems import Stem
from grafprint.degradation.effects import colour, prepare_rir, reverberate
from grafprint.degradation.synthetic_rooms import rooms

_SURE_DB, _LOST_DB = -12.0, -30.0  # against the rest of the clip, while the stem sounds


@dataclass(frozen=True)
class Scene:
    """A clip: samples ``[n]``, targets ``[S]``, and ``(label, start_s, end_s)`` of what sounds."""

    samples: np.ndarray
    targets: np.ndarray
    times: list[tuple[str, float, float]]


def mix(stems: Sequence[Stem], gains_db: Sequence[float], labels: Labels) -> Scene:
    """Add stems at the given levels (of their active parts) and say what can be heard.

    A stem that is more than 12 dB below the rest while it sounds leaves its labels unknown, more
    than 30 dB below: it counts as absent.
    """
    sounds = [
        stem.samples * np.float32(10 ** ((gain - level_db(stem.samples)) / 20))
        if np.any(stem.samples)
        else stem.samples
        for stem, gain in zip(stems, gains_db, strict=True)
    ]
    whole = np.sum(sounds, axis=0)
    each, times = [], []
    for stem, sound in zip(stems, sounds, strict=True):
        above_db = prominence_db(sound, whole - sound)
        targets = stem.targets.copy()
        if above_db < _LOST_DB:
            targets = np.where(np.isnan(targets), targets, 0).astype(np.float32)
        elif above_db < _SURE_DB:
            targets[targets > 0] = np.nan
        each.append(targets)
        heard = [labels.names[row] for row in np.nonzero(targets == 1)[0]]
        times += [(name, *span) for name in heard for span in intervals(sound)]
    return Scene(whole, combine(np.array(each)), times)


def combine(targets: np.ndarray) -> np.ndarray:
    """Targets of several sounds ``[n, S]`` together, ``[S]``.

    A label is right if it is for any, unknown if it may be for any, else the highest probability.
    """
    highest = np.nan_to_num(targets).max(axis=0)
    unknown = np.isnan(targets).any(axis=0) & (highest < 0.5)
    return np.where(unknown, np.nan, highest).astype(np.float32)


def prominence_db(sound: np.ndarray, rest: np.ndarray) -> float:
    """Level of a sound against everything else, over the frames in which it is loud."""
    if not np.any(sound):
        return -np.inf
    own = envelope_db(sound)
    loud = own >= own.max() - 15
    other = 10 * np.log10(np.mean(10 ** (envelope_db(rest)[loud] / 10)))
    return float(10 * np.log10(np.mean(10 ** (own[loud] / 10))) - other)


def merge_times(
    times: Sequence[tuple[str, float, float]], join_s: float = 0.05
) -> list[tuple[str, float, float]]:
    """The intervals of each label without overlaps, sorted."""
    merged: list[tuple[str, float, float]] = []
    for label, start, end in sorted(times):
        if merged and merged[-1][0] == label and start <= merged[-1][2] + join_s:
            merged[-1] = (label, merged[-1][1], max(end, merged[-1][2]))
        else:
            merged.append((label, start, end))
    return merged


class Studio:
    """Rooms and microphones for clips, drawn at random."""

    def __init__(self, seed: int, number: int = 24) -> None:
        self._rooms = [torch.from_numpy(prepare_rir(r))[None] for r in rooms(number, seed)]

    def record(self, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The clip as it is, or in a room, or through a microphone; noise as of a recorder."""
        sound = torch.from_numpy(samples)[None]
        if rng.random() < 0.35:
            sound = reverberate(sound, self._rooms[rng.integers(len(self._rooms))])
        if rng.random() < 0.35:
            generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
            sound = colour(sound, generator)
        return normalised(sound[0].numpy(), rng)


def normalised(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Peak 0.05 to 0.9, with noise 50 to 80 dB below it half of the time."""
    peak = float(np.abs(samples).max())
    if not peak:
        return samples
    if rng.random() < 0.5:
        noise = rng.standard_normal(len(samples), dtype=np.float32)
        samples = samples + noise * np.float32(peak * 10 ** (rng.uniform(-80, -50) / 20))
        peak = float(np.abs(samples).max())
    return np.asarray(samples * np.float32(0.9 * 10 ** rng.uniform(-1.2, 0) / peak), np.float32)
