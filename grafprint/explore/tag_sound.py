"""What lit nodes of a tagger hear: the sound of a part of the spectrogram."""

from __future__ import annotations

import numpy as np
import torch

from grafprint.models.features import FeatureConfig, mel_bin_hz


def hear(samples: np.ndarray, mask: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """The sound of the points of a spectrogram where ``mask [F, T]`` is: samples ``[n]``.

    The mask is of bool, or of gains from 0 to 1.

    A short-time Fourier transform of ``samples [n]``, with the frames of the features, is silenced
    outside of the mask and turned back; each of its frequencies belongs to the mel bin whose centre
    is nearest. Of a full mask, it is the sound itself. Frames overlap, so that edges are soft in
    time; ``samples`` longer than the mask are silent after it.
    """
    count = config.n_fft // 2 + 1
    hz = np.arange(count) * config.sample_rate_hz / config.n_fft
    bins = np.arange(config.n_mels)
    bin_of = np.round(np.interp(hz, mel_bin_hz(bins, config), bins)).astype(np.int64)
    padded = np.pad(samples, (0, max(0, count - len(samples)))).astype(np.float32)
    window, hop = torch.hann_window(config.n_fft), config.hop_length
    spectrum = torch.stft(
        torch.from_numpy(padded), config.n_fft, hop, window=window, return_complex=True
    ).numpy()
    # A last frame, of the samples after the last whole hop, is as the one before.
    frames = min(spectrum.shape[1], mask.shape[1] + 1)
    gains = np.zeros(spectrum.shape, np.float32)
    gains[:, :frames] = np.pad(mask, ((0, 0), (0, 1)), mode="edge")[bin_of, :frames]
    masked = torch.from_numpy(spectrum * gains)
    heard = torch.istft(masked, config.n_fft, hop, window=window, length=len(padded))
    return np.asarray(heard[: len(samples)].numpy())
