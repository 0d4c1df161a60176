"""Synthetic noises: stationary colours, a crowd, and places such as a street or a café.

All are float32 ``[samples]`` at 16 kHz with a peak of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from grafprint.audio import SAMPLE_RATE

Rng = np.random.Generator

# Power falls with frequency as f^-exponent.
NOISE_COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}


def coloured_noise(colour: str, samples: int, rng: Rng) -> np.ndarray:
    """Stationary noise whose power falls as f^-exponent (NOISE_COLOURS).

    Raises ValueError for an unknown colour.
    """
    if colour not in NOISE_COLOURS:
        raise ValueError(f"no noise colour {colour!r}; there are: {', '.join(NOISE_COLOURS)}")
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    # Nothing below 20 Hz: it is inaudible, yet f^-2 noise would have nearly all its power there.
    shape = np.where(hertz < 20, 0, np.maximum(hertz, 20) ** (-NOISE_COLOURS[colour] / 2))
    return _peak_one(np.fft.irfft(spectrum * shape, samples))


def crowd_noise(samples: int, rng: Rng, talkers: int = 12) -> np.ndarray:
    """Babble: many voices with the spectrum and pace of speech, but no words.

    Each voice is pink noise in a random band between 150 Hz and 4 kHz whose level swings at 2 to
    6 Hz, the rate of syllables.
    """
    time = np.arange(samples) / SAMPLE_RATE
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    total = np.zeros(samples)
    for _ in range(talkers):
        low_hz = rng.uniform(150, 500)
        high_hz = rng.uniform(1500, 4000)
        spectrum = np.fft.rfft(coloured_noise("pink", samples, rng))
        voice = np.fft.irfft(spectrum * ((hertz > low_hz) & (hertz < high_hz)), samples)
        rate_hz = rng.uniform(2, 6)
        swing = np.sin(2 * np.pi * (rate_hz * time + rng.uniform())).clip(0) ** 2
        total += voice * swing * rng.uniform(0.3, 1.0)
    return _peak_one(total)


def street(samples: int, rng: Rng) -> np.ndarray:
    """The rumble of a city, and passing cars.

    A car is the hiss of its tyres and the hum of its engine, which falls in pitch as it passes.
    One passes every 5 s or so, the first within 3 s.
    """
    time = np.arange(samples) / SAMPLE_RATE
    total = 0.1 * _unit_power(_band_pass(coloured_noise("brown", samples, rng), 20, 250))
    passes_s = rng.uniform(0, 3)
    while passes_s < samples / SAMPLE_RATE + 2:
        nearness = 1 / (1 + ((time - passes_s) / rng.uniform(0.4, 1.0)) ** 2)
        tyres = _band_pass(coloured_noise("pink", samples, rng), 300, rng.uniform(1500, 3000))
        # Doppler shift: at 14 m/s (50 km/h) the pitch falls by 8 % in all.
        approach = np.clip((passes_s - time) / 0.5, -1, 1)
        hum = _harmonics(rng.uniform(40, 90) * (1 + 0.04 * approach), 12, 1.2, rng)
        total += rng.uniform(0.5, 1) * nearness * (_unit_power(tyres) + 0.5 * _unit_power(hum))
        passes_s += rng.uniform(3, 7)
    return _peak_one(total)


def rain(samples: int, rng: Rng) -> np.ndarray:
    """Steady rain: a bright hiss, and single drops close by.

    60 drops a second are close enough to stand out: a click, then the short ringing of an air
    bubble at 1 to 7 kHz.
    """
    drops = np.zeros(samples)
    for _ in range(rng.poisson(60 * samples / SAMPLE_RATE)):
        drop = _ring(rng.uniform(1000, 7000), rng.uniform(0.001, 0.006), 0.03)
        _add(drops, int(rng.integers(samples)), rng.lognormal(0, 0.8) * drop)
    hiss = _band_pass(coloured_noise("white", samples, rng), 800, 8000)
    return _peak_one(_unit_power(hiss) + 0.7 * _unit_power(drops))


def cafe(samples: int, rng: Rng) -> np.ndarray:
    """A café: a crowd talking, and clinking cups.

    There are about two clinks a second, each of four inharmonic tones from 2 kHz up, as of
    porcelain.
    """
    clinks = np.zeros(samples)
    for _ in range(1 + rng.poisson(2 * samples / SAMPLE_RATE)):
        begin, lowest_hz = int(rng.integers(samples)), rng.uniform(2000, 3200)
        loudness = rng.uniform(0.3, 1)
        for ratio in (1.0, 1.47, 2.09, 2.43):
            decay_s = rng.uniform(0.02, 0.08) / ratio
            _add(clinks, begin, loudness * _ring(lowest_hz * ratio, decay_s, 0.4))
    crowd = _unit_power(crowd_noise(samples, rng, talkers=9))
    hush = 0.03 * _unit_power(coloured_noise("pink", samples, rng))
    return _peak_one(crowd + hush + clinks / np.abs(clinks).max())


def machine(samples: int, rng: Rng) -> np.ndarray:
    """An engine: harmonics of its rate, and broadband noise that swells once per turn.

    It turns 24 to 60 times a second, not quite evenly. The harmonics are strongest near a
    resonance of the casing.
    """
    drift = np.cumsum(coloured_noise("brown", samples, rng))
    rate_hz = rng.uniform(24, 60) * (1 + 0.01 * drift / np.abs(drift).max())
    hum = _harmonics(rate_hz, 40, 0.7, rng)
    casing_hz = rng.uniform(250, 900)
    rush = _band_pass(coloured_noise("pink", samples, rng), 150, 5000)
    swell = 0.5 + 0.5 * np.cos(2 * np.pi * np.cumsum(rate_hz) / SAMPLE_RATE)
    body = _unit_power(hum) + _unit_power(_band_pass(hum, 0.7 * casing_hz, 1.4 * casing_hz))
    return _peak_one(body + 0.7 * _unit_power(rush * swell**2))


NOISES: dict[str, Callable[[int, Rng], np.ndarray]] = {
    "babble": crowd_noise,
    "cafe": cafe,
    "street": street,
    "rain": rain,
    "machine": machine,
    "white": partial(coloured_noise, "white"),
    "pink": partial(coloured_noise, "pink"),
    "brown": partial(coloured_noise, "brown"),
}


@lru_cache(maxsize=16)
def noise(kind: str, samples: int, seed: int) -> np.ndarray:
    """Noise of one of the kinds in NOISES; read-only, because results are cached.

    Raises ValueError for an unknown kind.
    """
    if kind not in NOISES:
        raise ValueError(f"no noise {kind!r}; there are: {', '.join(NOISES)}")
    sound = NOISES[kind](samples, np.random.default_rng(seed))
    sound.flags.writeable = False
    return sound


def noises(seconds: float, seed: int) -> list[np.ndarray]:
    """A fixed set for :class:`grafprint.degradation.banks.NoiseBank`: all colours, three crowds."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    colours = [coloured_noise(colour, samples, rng) for colour in NOISE_COLOURS]
    return [*colours, *(crowd_noise(samples, rng) for _ in range(3))]


def _harmonics(rate_hz: np.ndarray, count: int, slope: float, rng: Rng) -> np.ndarray:
    """``count`` harmonics of a varying rate ``[n]``; their amplitudes fall as number^-slope."""
    phase = 2 * np.pi * np.cumsum(rate_hz) / SAMPLE_RATE
    total = np.zeros(len(rate_hz))
    for number in range(1, count + 1):
        strength = rng.uniform(0.3, 1) * number**-slope
        total += strength * np.sin(number * phase + rng.uniform(0, 2 * np.pi))
    return total


def _ring(hertz: float, decay_s: float, duration_s: float) -> np.ndarray:
    """A decaying sine that starts with a click."""
    time = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    return np.cos(2 * np.pi * hertz * time) * np.exp(-time / decay_s)


def _add(total: np.ndarray, begin: int, sound: np.ndarray) -> None:
    """Add a sound to ``total`` at a sample, cut off at the end."""
    part = total[begin : begin + len(sound)]
    part += sound[: len(part)]


def _band_pass(sound: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """The sound between two frequencies, with slopes of 12 dB per octave."""
    hertz = np.maximum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), 1.0)
    gain = 1 / np.sqrt((1 + (low_hz / hertz) ** 4) * (1 + (hertz / high_hz) ** 4))
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))


def _unit_power(sound: np.ndarray) -> np.ndarray:
    """The sound at a mean power of 1; silence stays silent."""
    return sound / max(float(np.sqrt(np.square(sound).mean())), 1e-12)


def _peak_one(sound: np.ndarray) -> np.ndarray:
    return (sound / np.abs(sound).max()).astype(np.float32)
