"""Lossy codecs: the decoded audio resembles the original, without delay."""

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.degradation.codecs import CODECS, transcode, transcode_some
from tests.audio_files import MUSIC


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return audio.load(MUSIC[3], start_s=5, duration_s=1.0)


@pytest.mark.parametrize(
    "codec, container, rate", [(c, f, rate) for c, f, rates in CODECS for rate in rates]
)
def test_it_stays_in_place_and_recognisable(music, codec: str, container: str, rate: int):
    decoded = transcode(music, codec, container, rate)
    assert decoded.shape == music.shape and decoded.dtype == np.float32
    size = 1 << 16
    product = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(music, size))
    lag = int(np.fft.irfft(product).argmax())
    assert min(lag, size - lag) <= 8  # half a millisecond
    assert 0.6 < np.corrcoef(decoded, music)[0, 1] < 0.99999


def test_silence_stays_silent_and_levels_are_kept(music):
    assert np.abs(transcode(np.zeros(8000, np.float32), "libopus", "ogg", 12_000)).max() < 1e-3
    loud = transcode(100 * music, "libmp3lame", "mp3", 24_000)
    assert np.corrcoef(loud, music)[0, 1] > 0.6 and np.abs(loud).max() > 10 * np.abs(music).max()


def test_a_share_of_a_batch_is_transcoded(music):
    batch = torch.from_numpy(music).repeat(40, 1)
    result = transcode_some(batch, 0.3, torch.Generator().manual_seed(0))
    changed = (result != batch).any(dim=1)
    assert 4 <= changed.sum() <= 20
    again = transcode_some(batch, 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(result, again)
