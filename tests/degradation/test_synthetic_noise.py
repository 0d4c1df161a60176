"""Synthetic noises: level, seed, and what sets each of them apart from plain noise."""

import numpy as np
import pytest

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation import synthetic_noise
from grafprint.degradation.synthetic_noise import NOISES


def synthesise(kind: str, seconds: float = 8.0, seed: int = 3) -> np.ndarray:
    return NOISES[kind](round(seconds * SAMPLE_RATE), np.random.default_rng(seed))


def share(sound: np.ndarray, low_hz: float, high_hz: float) -> float:
    """The share of a sound's power between two frequencies."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    return float(power[(hertz >= low_hz) & (hertz < high_hz)].sum() / power.sum())


def envelope(sound: np.ndarray, window_s: float) -> np.ndarray:
    """Root mean square of each window of ``window_s``."""
    n = round(window_s * SAMPLE_RATE)
    windows = sound[: len(sound) // n * n].reshape(-1, n)
    return np.sqrt(np.square(windows).mean(axis=1))


@pytest.mark.parametrize("kind", NOISES)
def test_every_noise_is_seeded_at_full_scale_and_never_silent(kind: str):
    noise = synthesise(kind)
    assert noise.dtype == np.float32 and noise.shape == (8 * SAMPLE_RATE,)
    assert np.abs(noise).max() == pytest.approx(1) and envelope(noise, 0.25).min() > 1e-3
    np.testing.assert_array_equal(noise, synthesise(kind))
    assert not np.array_equal(noise, synthesise(kind, seed=4))
    assert len(synthesise(kind, 0.5)) == SAMPLE_RATE // 2


def test_rain_is_bright_and_has_drops():
    rain = synthesise("rain")
    assert share(rain, 2000, 8000) > 0.6 and share(rain, 0, 500) < 0.02
    # Plain hiss has lower peaks over its level of a few milliseconds.
    levels, hiss = envelope(rain, 0.004), envelope(synthesise("white"), 0.004)
    assert levels.max() / np.median(levels) > 1.5 * hiss.max() / np.median(hiss)


def test_a_machine_has_the_harmonics_of_one_rate():
    spectrum = np.abs(np.fft.rfft(synthesise("machine") * np.hanning(8 * SAMPLE_RATE))) ** 2
    low = spectrum[: 8 * 500]  # in steps of 1/8 Hz
    combs = {
        rate: np.mean([low[8 * h * rate // 4 - 4 : 8 * h * rate // 4 + 5].sum() for h in (1, 2, 3)])
        for rate in range(4 * 24, 4 * 61)
    }
    best = max(combs, key=lambda rate: combs[rate])
    assert combs[best] > 10 * np.median(list(combs.values()))


def test_a_street_rumbles_and_cars_pass():
    street = synthesise("street", 20.0)
    assert share(street, 0, 1500) > 0.7
    loudness = envelope(street, 0.5)
    assert loudness.max() > 3 * loudness.min()


def test_a_cafe_is_a_crowd_with_clinks():
    cafe = synthesise("cafe")
    assert share(cafe, 150, 4000) > 0.8
    high = np.fft.rfft(cafe)
    high[: 8 * 4100] = 0
    clinks = envelope(np.fft.irfft(high), 0.02)
    assert clinks.max() > 10 * np.median(clinks)


def test_noises_are_cached_and_read_only():
    noise = synthetic_noise.noise("rain", 8000, 1)
    assert synthetic_noise.noise("rain", 8000, 1) is noise and not noise.flags.writeable
    with pytest.raises(ValueError, match="no noise 'thunder'; there are: babble"):
        synthetic_noise.noise("thunder", 8000, 1)
