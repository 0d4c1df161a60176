"""Zero-delay filters: the frequency responses of microphones, loudspeakers and telephones."""

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
    """Gain in dB of a high-pass and a low-pass at frequencies ``hertz [f]``.

    Both are 3 dB down at their frequency and fall by 3 dB per octave and unit of slope. 0 Hz and
    infinity disable them. Tensors are ``[B, 1]``, and the gain is then ``[B, f]``.
    """
    gain_db = -10 * (1 + (low_hz / hertz) ** low_slope).log10()
    return gain_db - 10 * (1 + (hertz / high_hz) ** high_slope).log10()


def filter_hertz(samples: int) -> Tensor:
    """The frequencies ``[f]`` of the gains that :func:`apply_gain_db` takes for ``samples``."""
    return torch.fft.rfftfreq(_size(samples), 1 / SAMPLE_RATE).clamp_min(1.0)


def apply_gain_db(audio: Tensor, gain_db: Tensor) -> Tensor:
    """Filter ``audio [B, n]`` by gains ``[B, f]`` or ``[f]`` at the frequencies filter_hertz(n)."""
    n, size = audio.shape[-1], _size(audio.shape[-1])
    response = 10 ** (gain_db / 20)
    spectrum = torch.fft.rfft(audio, size) * response.to(audio.device)
    return torch.fft.irfft(spectrum, size)[:, :n]


def _size(samples: int) -> int:
    """FFT size with padding for the ringing of a filter, which would wrap to the start."""
    return 1 << (samples + 2048 - 1).bit_length()
