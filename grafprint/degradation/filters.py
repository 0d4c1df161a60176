"""Filters without delay, for what a microphone, a loudspeaker or a telephone does to sound."""

from __future__ import annotations

import torch
from torch import Tensor

from grafprint.audio import SAMPLE_RATE


def band_db(
    hertz: Tensor,
    low_hz: Tensor | float,
    high_hz: Tensor | float,
    low_slope: Tensor | float,
    high_slope: Tensor | float,
) -> Tensor:
    """Gain in dB, at frequencies ``hertz [f]``, of a high-pass and a low-pass.

    Both are 3 dB down at their frequency and fall by 3 dB an octave for every 1 of their slope.
    0 Hz and infinity leave their side open. Tensors are ``[B, 1]``, and the gain ``[B, f]``.
    """
    gain_db = -10 * (1 + (low_hz / hertz) ** low_slope).log10()
    return gain_db - 10 * (1 + (hertz / high_hz) ** high_slope).log10()


def filter_hertz(samples: int) -> Tensor:
    """The frequencies ``[f]`` at which :func:`filtered` takes the gains for so many samples."""
    return torch.fft.rfftfreq(_size(samples), 1 / SAMPLE_RATE).clamp_min(1.0)


def filtered(audio: Tensor, gain_db: Tensor) -> Tensor:
    """``audio [B, n]`` with gains ``[B, f]`` or ``[f]`` at the frequencies of filter_hertz(n)."""
    n, size = audio.shape[-1], _size(audio.shape[-1])
    response = 10 ** (gain_db / 20)
    spectrum = torch.fft.rfft(audio, size) * response.to(audio.device)
    return torch.fft.irfft(spectrum, size)[:, :n]


def limit_band(audio: Tensor, low_hz: float, high_hz: float, slope: float = 8.0) -> Tensor:
    """``audio [B, n]`` without what is below and above; slope 8: by 24 dB an octave."""
    hertz = filter_hertz(audio.shape[-1])
    return filtered(audio, band_db(hertz, low_hz, high_hz, slope, slope))


def _size(samples: int) -> int:
    """With room for what a filter rings on for, so that the end is not heard at the beginning."""
    return 1 << (samples + 2048 - 1).bit_length()
