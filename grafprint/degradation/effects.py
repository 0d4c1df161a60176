"""TODO."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grafprint.degradation.filters import band_db, filter_hertz, filtered

SAMPLE_RATE = 16_000


def power(audio: Tensor) -> Tensor:
    """Mean square over the last axis, kept as an axis of length one."""
    return audio.square().mean(dim=-1, keepdim=True)


def mix_at_snr(audio: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add ``noise [B, n]`` to ``audio [B, n]`` so that their power ratio is ``snr_db [B]``.

    The ratio is exact over the ``n`` samples given. Where the audio or the noise is silent an
    SNR has no meaning and the audio is returned as it is.
    """
    signal_power, noise_power = power(audio), power(noise)
    wanted = signal_power / 10 ** (snr_db.view(-1, 1) / 10)
    gain = (wanted / noise_power.clamp_min(torch.finfo(audio.dtype).tiny)).sqrt()
    usable = (signal_power > 0) & (noise_power > 0)
    return torch.where(usable, audio + gain * noise, audio)


def reverberate(audio: Tensor, rir: Tensor) -> Tensor:
    """Convolve ``audio [B, n]`` with room responses ``rir [B, m]``; output ``[B, n]``.

    The direct sound stays where it was when the responses are aligned (:func:`prepare_rir`).
    Each output keeps the power of its input.
    """
    n, m = audio.shape[-1], rir.shape[-1]
    size = 1 << (n + m - 2).bit_length()
    wet = torch.fft.irfft(torch.fft.rfft(audio, size) * torch.fft.rfft(rir, size), size)[..., :n]
    scale = (power(audio) / power(wet).clamp_min(torch.finfo(audio.dtype).tiny)).sqrt()
    return wet * scale


def change_speed(audio: Tensor, factor: Tensor) -> Tensor:
    """Play ``audio [B, n]`` ``factor [B]`` times as fast, pitch and tempo together.

    The end stays where it is. Cubic interpolation: meant for a few percent. Where a factor above
    one asks for what was before the audio, its first samples are held.
    """
    n = audio.shape[1]
    place = n - 3 - (n - 3 - torch.arange(n, device=audio.device)) * factor[:, None]
    place = place.clamp(1, n - 3)
    whole = place.long()
    t = place - whole
    p0, p1, p2, p3 = (audio.gather(1, whole + shift) for shift in (-1, 0, 1, 2))
    # Catmull-Rom.
    return p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )


def colour(audio: Tensor, generator: torch.Generator) -> Tensor:
    """A random microphone or loudspeaker for each of ``audio [B, n]``, without delay.

    A high-pass at 30-600 Hz and a low-pass at 2-8 kHz of 6-24 dB an octave each, and a response
    that wanders by 5 dB or so from octave to octave.
    """
    batch, n = audio.shape
    hertz = filter_hertz(n).to(audio.device)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, generator=generator).to(audio.device)

    low_hz = 30 * 20 ** uniform(0, 1)
    high_hz = 2000 * 4 ** uniform(0, 1)
    gain_db = band_db(hertz, low_hz, high_hz, uniform(2, 8), uniform(2, 8))
    # One an octave from 16 Hz on.
    knots = 5 * torch.randn(batch, 10, generator=generator).to(audio.device)
    octave = (hertz / 16).log2().clamp(0, 8.999)
    left = octave.long()
    wander = torch.lerp(knots[:, left], knots[:, left + 1], octave - left)
    return filtered(audio, gain_db + wander)


def clip_peaks(audio: Tensor, share: Tensor) -> Tensor:
    """Clip ``audio [B, n]`` at ``share [B]`` of each one's peak, as an overloaded input does."""
    peak = audio.abs().amax(dim=1, keepdim=True) * share.view(-1, 1).to(audio.device)
    return audio.clamp(-peak, peak)


def coarsen(audio: Tensor, generator: torch.Generator) -> Tensor:
    """``audio [B, n]`` as a codec short of bits leaves it: a coarse spectrum, and holes in it.

    Every 20 ms the spectrum is rounded to steps that follow its envelope, -6 to 9 dB from it. Real
    codecs (:mod:`grafprint.degradation.codecs`) work on the CPU, one clip at a time; this
    costs a GPU next to nothing.
    """
    level_db = -6 + 15 * torch.rand(len(audio), 1, 1, generator=generator).to(audio.device)
    window = torch.hann_window(640, device=audio.device)
    spectrum = torch.stft(audio, 640, 320, window=window, return_complex=True)
    power = spectrum.abs().square()[:, None]
    envelope = F.avg_pool2d(power, (17, 1), 1, (8, 0), count_include_pad=False)[:, 0]
    step = (envelope * 10 ** (level_db / 10)).sqrt().clamp_min(1e-12)[..., None]
    coarse = (torch.view_as_real(spectrum) / step).round() * step
    return torch.istft(torch.view_as_complex(coarse), 640, 320, window=window,
                       length=audio.shape[1])  # fmt: skip


def prepare_rir(rir: np.ndarray, max_s: float = 2.0) -> np.ndarray:
    """Cut a room response ``[m]`` to begin with its direct sound, at unit energy.

    The direct sound is the first sample to reach half the peak: later reflections can exceed it.
    Without this a reverberated query would be late by the distance to the loudspeaker. Raises
    ValueError for a silent response.
    """
    magnitude = np.abs(rir)
    if not np.isfinite(rir).all() or magnitude.max(initial=0.0) == 0:
        raise ValueError("the room response is silent or not finite")
    first = int(np.argmax(magnitude >= 0.5 * magnitude.max()))
    cut = rir[first : first + round(max_s * SAMPLE_RATE)].astype(np.float32)
    return cut / float(np.sqrt(np.square(cut).sum()))
