"""What lit nodes hear: of a full mask all, of a part of it only that band and time."""

import numpy as np
import pytest

from grafprint.explore.tag_evidence import mask_of
from grafprint.explore.tag_sound import hear
from grafprint.models.features import FeatureConfig, mel_bin_hz
from grafprint.models.taggers.inputs import PAPER_FEATURES
from tests.libraries import excerpt

RATE = 16_000


def tone(hz: float, seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


@pytest.mark.parametrize("config", [FeatureConfig(), PAPER_FEATURES])
@pytest.mark.parametrize("seconds", [2.048, 1.5, 0.01])
def test_of_a_full_mask_it_is_the_sound_itself(config: FeatureConfig, seconds: float):
    music = excerpt(1, 20, 3.0)[: round(seconds * RATE)]
    mask = np.ones((config.n_mels, max(1, len(music) // config.hop_length)), bool)
    heard = hear(music, mask, config)
    assert len(heard) == len(music)
    np.testing.assert_allclose(heard, music, atol=1e-5)
    assert not hear(music, ~mask, config).any()


def test_a_square_sounds_in_its_band_and_time():
    config = FeatureConfig()
    low, high = (float(hz) for hz in mel_bin_hz(np.array([8, 56]), config))
    both = tone(low, 2.048) + tone(high, 2.048)
    mask = mask_of(np.array([0]), (2, 2), 32, (64, 64))  # low bins, first half
    heard = hear(both, mask, config)
    spectrum = np.abs(np.fft.rfft(heard[: RATE // 2] * np.hanning(RATE // 2)))
    at = [round(hz / 2) for hz in (low, high)]  # bins of 2 Hz
    assert spectrum[at[0]] > 1000 * spectrum[at[1]]
    np.testing.assert_allclose(heard[2000:14_000], tone(low, 2.048)[2000:14_000], atol=0.01)
    assert np.abs(heard[18_000:]).max() < 0.01 < np.abs(heard[:14_000]).max()


def test_after_the_mask_it_is_silent():
    heard = hear(tone(440, 4.0), np.ones((64, 62), bool), FeatureConfig())
    assert np.abs(heard[: 61 * 512]).max() > 0.2 and not heard[66 * 512 :].any()
