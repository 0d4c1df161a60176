"""What is laid over a sample: a beat in its tempo, music of another package, speech."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.shared.sample_bench.loops import rms_db
from benchmarks.shared.sample_bench.sources import Song, Sources
from grafprint import audio
from grafprint.audio import SAMPLE_RATE

SHARES = {"beat": 0.7, "music": 0.6, "speech": 0.7}
_STEPS = 16  # in a bar of the beat
_BEAT_S = (60 / 140, 60 / 70)  # of a loop whose bars are not known
_LEVELS_DB = 3.0  # of each layer, either way
_PAUSE_S = (0.2, 1.0)
_HITS = {"kick": (0, 8), "snare": (4, 12)}  # steps that are always played
_MORE = {"kick": 0.15, "snare": 0.04}  # probability of each other step


def draw_layers(rng: np.random.Generator) -> list[str]:
    """Which layers there are: each with its own probability, at least one."""
    while True:
        layers = [name for name, share in SHARES.items() if rng.random() < share]
        if layers:
            return layers


def overlay(
    layers: list[str],
    music: Song,
    sources: Sources,
    bar_s: float,
    first_s: float,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The sum ``[samples]`` of layers; the beat has a first step at ``first_s``."""
    made = {
        "beat": lambda: beat(sources.drums, bar_s, first_s, samples, rng),
        "music": lambda: tiled(decoded(music.mix), samples, rng),
        "speech": lambda: speech(sources.speech, samples, rng),
    }
    total = np.zeros(samples, np.float32)
    for name in layers:
        layer = made[name]()
        level = -20 + float(rng.uniform(-_LEVELS_DB, _LEVELS_DB))
        total += layer * 10 ** ((level - rms_db(layer)) / 20)
    return total


def bar_of(loop_s: float, bars: int, rng: np.random.Generator) -> float:
    """The bar of a loop as it is played; where it is not known, one that a beat can have."""
    if bars:
        return loop_s / bars
    # The slowest beat is half as fast as the fastest one, so there is always one that fits.
    beats = [2**n for n in range(10) if _BEAT_S[0] <= loop_s / 2**n <= _BEAT_S[1]]
    return 4 * loop_s / int(rng.choice(beats))


def beat(
    drums: dict[str, list[Path]],
    bar_s: float,
    first_s: float,
    samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """A pattern of one bar, repeated: kick and snare with a few more hits, and the hi-hat."""
    every = int(rng.choice([1, 2, 4]))
    steps = {name: {*always, *_further(_MORE[name], rng)} for name, always in _HITS.items()}
    steps["hat"] = set(range(0, _STEPS, every))
    hits = {name: decoded(Path(rng.choice([str(p) for p in drums[name]]))) for name in steps}
    total = np.zeros(samples, np.float32)
    step = bar_s / _STEPS
    first = -int(np.ceil(first_s / bar_s)) * _STEPS
    last = int((samples / SAMPLE_RATE - first_s) / step) + 1
    for name, sound in hits.items():
        peak = max(float(np.abs(sound).max()), 1e-6)
        gain = {"kick": 1.0, "snare": 0.8, "hat": 0.35}[name] / peak
        for number in range(first, last):
            if number % _STEPS in steps[name]:
                begin = round((first_s + number * step) * SAMPLE_RATE)
                if 0 <= begin < samples:
                    part = sound[: samples - begin]
                    total[begin : begin + len(part)] += gain * part
    return total


def speech(files: list[Path], samples: int, rng: np.random.Generator) -> np.ndarray:
    """One sentence after the other, with pauses."""
    parts: list[np.ndarray] = []
    total = 0
    while total < samples:
        spoken = decoded(files[int(rng.integers(len(files)))])
        pause = np.zeros(round(rng.uniform(*_PAUSE_S) * SAMPLE_RATE), np.float32)
        parts += [spoken, pause]
        total += len(spoken) + len(pause)
    return np.concatenate(parts)[:samples]


def tiled(recording: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Music from a random place on; after its end it begins again."""
    start = int(rng.integers(len(recording)))
    return np.resize(np.roll(recording, -start), samples)


@lru_cache(maxsize=64)
def decoded(path: Path) -> np.ndarray:
    """A file's samples ``[n]``."""
    return audio.load(path)


def _further(share: float, rng: np.random.Generator) -> list[int]:
    return [step for step in range(_STEPS) if rng.random() < share]
