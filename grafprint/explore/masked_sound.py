"""Hear a part of a spectrogram: audio in which only some points of it are left."""

from __future__ import annotations

import numpy as np
import torch

from grafprint.models.features import FeatureConfig, mel_bin_hz

PEAK = 0.5  # of the result: most parts are much quieter than the whole


def masked_sound(samples: np.ndarray, gains: np.ndarray, config: FeatureConfig) -> np.ndarray:
    """Audio ``[n]`` with the gains ``[mel bins, frames]`` (0 to 1), amplified to :data:`PEAK`.

    They act on its short-time Fourier transform, whose phases stay: between the middles of mel
    bins they are interpolated; frames beyond the last have its gains. Silence if nothing is left.
    """
    window = torch.hann_window(config.n_fft)
    audio = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    # A quarter of a window, so that overlapping frames add up to the original.
    step = config.n_fft // 4
    spectrum = torch.stft(audio, config.n_fft, step, window=window, return_complex=True)
    hertz = np.linspace(0, config.sample_rate_hz / 2, spectrum.shape[0])
    middles = mel_bin_hz(np.arange(config.n_mels), config)
    frames = np.round(np.arange(spectrum.shape[1]) * step / config.hop_length).astype(int)
    chosen = gains[:, np.minimum(frames, gains.shape[1] - 1)]
    mask = np.stack([np.interp(hertz, middles, column) for column in chosen.T], axis=1)
    left = spectrum * torch.from_numpy(mask.astype(np.float32))
    sound = torch.istft(left, config.n_fft, step, window=window, length=len(audio)).numpy()
    return np.asarray(sound * (PEAK / max(np.abs(sound).max(initial=0), 1e-9)), np.float32)
