"""Masks on a spectrogram: the rest is silent, and what is kept sounds as before."""

import numpy as np
import pytest

from grafprint.explore.masked_sound import PEAK, masked_sound
from grafprint.models.features import FeatureConfig, mel_bin_hz

CONFIG = FeatureConfig()
RATE = CONFIG.sample_rate_hz
SECONDS = np.arange(2 * RATE) / RATE
LOW, HIGH = (0.3 * np.sin(2 * np.pi * hz * SECONDS).astype(np.float32) for hz in (300, 3000))
FRAMES = len(SECONDS) // CONFIG.hop_length


def test_without_a_mask_it_is_the_same_sound():
    sound = masked_sound(LOW + HIGH, np.ones((CONFIG.n_mels, FRAMES)), CONFIG)
    scale = PEAK / np.abs(LOW + HIGH).max()
    assert np.abs(sound).max() == pytest.approx(PEAK, abs=1e-3)
    np.testing.assert_allclose(sound, scale * (LOW + HIGH), atol=0.01)


def test_a_band_and_a_moment_are_left():
    gains = np.zeros((CONFIG.n_mels, FRAMES))
    low = mel_bin_hz(np.arange(CONFIG.n_mels), CONFIG) < 1000
    gains[low, : FRAMES // 2] = 1
    sound = masked_sound(LOW + HIGH, gains, CONFIG)
    middle = sound[RATE // 4 : 3 * RATE // 4]
    energy = np.abs(np.fft.rfft(middle)) ** 2
    hertz = np.fft.rfftfreq(len(middle), 1 / RATE)
    assert energy[hertz < 1000].sum() > 1e4 * energy[hertz > 2000].sum()
    assert np.abs(sound[RATE + RATE // 8 :]).max() < 1e-3


def test_nothing_left_is_silence():
    assert not masked_sound(LOW, np.zeros((CONFIG.n_mels, FRAMES)), CONFIG).any()
