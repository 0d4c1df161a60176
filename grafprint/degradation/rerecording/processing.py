"""What loudspeakers and recorders do to a sound beyond filtering it, on batches ``[B, n]``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.effects import power

_FRAME = 160  # samples between two decisions of the gain control


def saturate(audio: Tensor, drive: Tensor, bias: Tensor) -> Tensor:
    """Soft clipping of ``audio [B, n]``: odd harmonics, and even ones with a ``bias`` (``[B, 1]``).

    A drive of 1 saturates at three times the RMS; a drive towards 0 changes nothing.
    """
    scale = 3 * power(audio).sqrt().clamp_min(1e-9) / drive
    clipped = torch.tanh(audio / scale + bias) - torch.tanh(bias)
    return clipped * scale


def at_power(sound: Tensor, wanted: Tensor) -> Tensor:
    """``sound [B, n]`` at a power of ``wanted [B, 1]``; silence stays silent."""
    return sound * (wanted / power(sound).clamp_min(1e-20)).sqrt()


def control_gain(
    audio: Tensor, strength: Tensor, attack_s: Tensor, release_s: Tensor, most_db: float = 20.0
) -> Tensor:
    """Automatic gain control of ``audio [B, n]``: slow changes of level are evened out.

    ``strength`` 1 removes them wholly, 0 leaves them. It follows a rising level with the time
    constant ``attack_s``, a falling one with ``release_s`` (all ``[B, 1]``), and turns up or down
    by ``most_db`` at most, from the clip's mean level.
    """
    n = audio.shape[1]
    frames = -(-n // _FRAME)
    padded = F.pad(audio, (0, frames * _FRAME - n))
    level_db = 10 * power(padded.view(len(audio), frames, _FRAME))[..., 0].clamp_min(1e-10).log10()
    mean_db = 10 * power(audio).clamp_min(1e-10).log10()
    step_s = _FRAME / SAMPLE_RATE
    rise, fall = ((-step_s / time_s)[:, 0].exp() for time_s in (attack_s, release_s))
    followed, state = [], mean_db[:, 0]
    for level in level_db.unbind(dim=1):
        state = torch.lerp(level, state, torch.where(level > state, rise, fall))
        followed.append(state)
    gain_db = (strength * (mean_db - torch.stack(followed, dim=1))).clamp(-most_db, most_db)
    gain = F.interpolate(gain_db[:, None], frames * _FRAME, mode="linear")[:, 0, :n]
    return audio * 10 ** (gain / 20)


def suppress_noise(audio: Tensor, excess: Tensor, floor_db: Tensor) -> Tensor:
    """Spectral noise suppression of ``audio [B, n]``, as phones do for speech.

    In each band the quietest quarter of a second counts as noise. ``excess`` times its power is
    subtracted everywhere; no band is turned down below ``floor_db`` (both ``[B, 1]``).
    """
    window = torch.hann_window(512, device=audio.device)
    spectrum = torch.stft(audio, 512, 256, window=window, return_complex=True)
    loudness = spectrum.abs().square()
    smooth = F.avg_pool1d(loudness, 15, 1, 7, count_include_pad=False)
    noise = excess[..., None] * smooth.amin(dim=2, keepdim=True)
    heard = F.avg_pool2d(loudness[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    gain = (1 - noise / heard.clamp_min(1e-20)).clamp_min(0).sqrt()
    gain = gain.maximum(10 ** (floor_db[..., None] / 20))
    return torch.istft(spectrum * gain, 512, 256, window=window, length=audio.shape[1])


def add_hiss(audio: Tensor, level_db: Tensor, exponent: Tensor, bins: Tensor) -> Tensor:
    """Add steady noise to ``audio [B, n]`` at ``level_db`` relative to it.

    Its power falls with frequency as f^-``exponent`` (both ``[B, 1]``). ``bins [B, hiss_bins(n)]``
    are random numbers of a normal distribution.
    """
    n = audio.shape[1]
    size = _hiss_size(n)
    hertz = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE, device=audio.device).clamp_min(50.0)
    shape = torch.outer(-exponent[:, 0] / 2, hertz.log()).exp()
    spectrum = torch.view_as_complex(bins.view(len(audio), -1, 2))
    hiss = torch.fft.irfft(spectrum * shape, size)[:, :n]
    return audio + at_power(hiss, power(audio) * 10 ** (level_db / 10))


def hiss_bins(samples: int) -> int:
    """How many random numbers :func:`add_hiss` needs for ``samples``."""
    return 2 * (_hiss_size(samples) // 2 + 1)


def _hiss_size(samples: int) -> int:
    return int(next_fast_len(samples, real=True))
