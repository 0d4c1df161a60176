"""Noises and rooms made from nothing, so that degrading needs no recordings."""

from __future__ import annotations

import numpy as np
import pyroomacoustics as pra

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
    """A fixed set of synthetic noises for :class:`grafprint.augment.NoiseBank`."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * SAMPLE_RATE)
    made = [coloured_noise(colour, samples, rng) for colour in NOISE_COLOURS]
    return [*made, *(crowd_noise(samples, rng) for _ in range(3))]


def room(rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    """Response ``[m]`` of a simulated shoebox room with the given reverberation time.

    Image-source model; room size, loudspeaker and microphone places are random. Raises
    ValueError when no room of a plausible size has that reverberation time.
    """
    for _ in range(20):
        size = rng.uniform([3.0, 2.5, 2.3], [9.0, 7.0, 3.5])
        try:
            absorption, order = pra.inverse_sabine(rt60_s, size)
        except ValueError:  # this room cannot be that dry
            continue
        simulated = pra.ShoeBox(
            size, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=min(order, 40)
        )
        places = rng.uniform(0.5, size - 0.5, (2, 3))
        simulated.add_source(places[0])
        simulated.add_microphone(places[1])
        simulated.compute_rir()
        return np.asarray(simulated.rir[0][0], np.float32)
    raise ValueError(f"no room of 3 to 9 m has a reverberation time of {rt60_s} s")


def rooms(count: int, seed: int) -> list[np.ndarray]:
    """Responses of ``count`` simulated rooms, reverberation times 0.2 to 0.8 s."""
    rng = np.random.default_rng(seed)
    return [room(float(rng.uniform(0.2, 0.8)), rng) for _ in range(count)]
