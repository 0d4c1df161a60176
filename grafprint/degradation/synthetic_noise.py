"""Noises and rooms made from nothing, so that degrading needs no recordings."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from grafprint.audio import SAMPLE_RATE

# Power falls with frequency as f^-exponent.
NOISE_COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}


def coloured_noise(colour: str, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Stationary noise ``[samples]`` (float32, peak 1) whose power falls as f^-exponent.

    Raises ValueError for a colour that is not in NOISE_COLOURS.
    """
    if colour not in NOISE_COLOURS:
        raise ValueError(f"no noise colour {colour!r}; there are: {', '.join(NOISE_COLOURS)}")
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    # Below 20 Hz nothing is heard, but an f^-2 noise would put nearly all its power there.
    shape = np.where(frequency < 20, 0, np.maximum(frequency, 20) ** (-NOISE_COLOURS[colour] / 2))
    noise = np.fft.irfft(spectrum * shape, samples)
    return (noise / np.abs(noise).max()).astype(np.float32)


def crowd_noise(samples: int, rng: np.random.Generator, talkers: int = 12) -> np.ndarray:
    """Babble-like noise ``[samples]`` (float32, peak 1): many speech-shaped, syllable-paced voices.

    Each voice is pink noise in a random band between 150 Hz and 4 kHz whose level swings at 2-6
    Hz, the pace of syllables. It has the spectrum and the restlessness of a crowd, not its words.
    """
    time = np.arange(samples) / SAMPLE_RATE
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    total = np.zeros(samples)
    for _ in range(talkers):
        low = rng.uniform(150, 500)
        high = rng.uniform(1500, 4000)
        spectrum = np.fft.rfft(coloured_noise("pink", samples, rng))
        voice = np.fft.irfft(spectrum * ((frequency > low) & (frequency < high)), samples)
        pace = rng.uniform(2, 6)
        swing = np.sin(2 * np.pi * (pace * time + rng.uniform())).clip(0) ** 2
        total += voice * swing * rng.uniform(0.3, 1.0)
    return (total / np.abs(total).max()).astype(np.float32)


def noises(seconds: float, seed: int) -> list[np.ndarray]:
    """A fixed set of synthetic noises for :class:`grafprint.degradation.augmentation.NoiseBank`."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    made = [coloured_noise(colour, samples, rng) for colour in NOISE_COLOURS]
    return [*made, *(crowd_noise(samples, rng) for _ in range(3))]


Rng = np.random.Generator


def street(samples: int, rng: Rng) -> np.ndarray:
    """A city's rumble ``[samples]`` (float32, peak 1), and cars that come, pass and go.

    A car is the hiss of its tyres and the hum of its engine, which falls in pitch as it passes. One
    passes every 5 s or so, the first within 3 s.
    """
    time = np.arange(samples) / SAMPLE_RATE
    total = 0.1 * _unit(_band(coloured_noise("brown", samples, rng), 20, 250))
    passes_s = rng.uniform(0, 3)
    while passes_s < samples / SAMPLE_RATE + 2:
        nearness = 1 / (1 + ((time - passes_s) / rng.uniform(0.4, 1.0)) ** 2)
        tyres = _band(coloured_noise("pink", samples, rng), 300, rng.uniform(1500, 3000))
        # Doppler: at 14 m/s (50 km/h) the pitch falls by 8 % in all.
        approach = np.clip((passes_s - time) / 0.5, -1, 1)
        hum = _harmonics(rng.uniform(40, 90) * (1 + 0.04 * approach), 12, 1.2, rng)
        total += rng.uniform(0.5, 1) * nearness * (_unit(tyres) + 0.5 * _unit(hum))
        passes_s += rng.uniform(3, 7)
    return _peak_one(total)


def rain(samples: int, rng: Rng) -> np.ndarray:
    """Steady rain ``[samples]`` (float32, peak 1): a bright hiss, and drops close by.

    60 drops a second fall near enough to be heard one by one: a click, then the short ringing of
    a bubble of air, at 1 to 7 kHz.
    """
    drops = np.zeros(samples)
    for _ in range(rng.poisson(60 * samples / SAMPLE_RATE)):
        ring = _ring(rng.uniform(1000, 7000), rng.uniform(0.001, 0.006), 0.03)
        _add(drops, int(rng.integers(samples)), rng.lognormal(0, 0.8) * ring)
    hiss = _band(coloured_noise("white", samples, rng), 800, 8000)
    return _peak_one(_unit(hiss) + 0.7 * _unit(drops))


def cafe(samples: int, rng: Rng) -> np.ndarray:
    """A café ``[samples]`` (float32, peak 1): a crowd talking, and the clinks of its cups.

    There are about two clinks a second, each of four inharmonic tones from 2 kHz on, as of
    porcelain.
    """
    clinks = np.zeros(samples)
    for _ in range(1 + rng.poisson(2 * samples / SAMPLE_RATE)):
        begin, lowest_hz = int(rng.integers(samples)), rng.uniform(2000, 3200)
        loudness = rng.uniform(0.3, 1)
        for partial_of in (1.0, 1.47, 2.09, 2.43):
            decay_s = rng.uniform(0.02, 0.08) / partial_of
            _add(clinks, begin, loudness * _ring(lowest_hz * partial_of, decay_s, 0.4))
    crowd = _unit(crowd_noise(samples, rng, talkers=9))
    hush = 0.03 * _unit(coloured_noise("pink", samples, rng))
    return _peak_one(crowd + hush + clinks / np.abs(clinks).max())


def machine(samples: int, rng: Rng) -> np.ndarray:
    """An engine ``[samples]`` (float32, peak 1): its rate's harmonics, and a rushing with it.

    It turns 24 to 60 times a second, not quite evenly. The harmonics are strongest near a
    resonance of its casing; broadband noise swells once a turn.
    """
    drift = np.cumsum(coloured_noise("brown", samples, rng))
    rate_hz = rng.uniform(24, 60) * (1 + 0.01 * drift / np.abs(drift).max())
    hum = _harmonics(rate_hz, 40, 0.7, rng)
    casing_hz = rng.uniform(250, 900)
    rush = _band(coloured_noise("pink", samples, rng), 150, 5000)
    swell = 0.5 + 0.5 * np.cos(2 * np.pi * np.cumsum(rate_hz) / SAMPLE_RATE)
    body = _unit(hum) + _unit(_band(hum, 0.7 * casing_hz, 1.4 * casing_hz))
    return _peak_one(body + 0.7 * _unit(rush * swell**2))


# Each makes noise [samples] with a generator, as float32 with peak 1.
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
    """Noise ``[samples]`` (float32, peak 1, read-only) of a kind, kept for the next time.

    Raises ValueError for a kind that is not in NOISES.
    """
    if kind not in NOISES:
        raise ValueError(f"no noise {kind!r}; there are: {', '.join(NOISES)}")
    made = NOISES[kind](samples, np.random.default_rng(seed))
    made.flags.writeable = False
    return made


def _harmonics(rate_hz: np.ndarray, count: int, slope: float, rng: Rng) -> np.ndarray:
    """``count`` harmonics of a varying rate ``[n]``; their amplitudes fall as number^-slope."""
    phase = 2 * np.pi * np.cumsum(rate_hz) / SAMPLE_RATE
    total = np.zeros(len(rate_hz))
    for number in range(1, count + 1):
        strength = rng.uniform(0.3, 1) * number**-slope
        total += strength * np.sin(number * phase + rng.uniform(0, 2 * np.pi))
    return total


def _ring(hertz: float, decay_s: float, longest_s: float) -> np.ndarray:
    """A decaying sine that begins with a click."""
    time = np.arange(round(longest_s * SAMPLE_RATE)) / SAMPLE_RATE
    return np.cos(2 * np.pi * hertz * time) * np.exp(-time / decay_s)


def _add(total: np.ndarray, begin: int, sound: np.ndarray) -> None:
    """Add a sound to ``total`` from a sample on, as far as it lasts."""
    part = total[begin : begin + len(sound)]
    part += sound[: len(part)]


def _band(sound: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """What of a sound is between two frequencies, with slopes of 12 dB an octave."""
    hertz = np.maximum(np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE), 1.0)
    gain = 1 / np.sqrt((1 + (low_hz / hertz) ** 4) * (1 + (hertz / high_hz) ** 4))
    return np.fft.irfft(np.fft.rfft(sound) * gain, len(sound))


def _unit(sound: np.ndarray) -> np.ndarray:
    """A sound at a mean power of 1; silence stays."""
    return sound / max(float(np.sqrt(np.square(sound).mean())), 1e-12)


def _peak_one(sound: np.ndarray) -> np.ndarray:
    return (sound / np.abs(sound).max()).astype(np.float32)
