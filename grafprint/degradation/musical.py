"""What producers do to a sample, on batches ``[B, n]``: pitch, tempo, filters, compression.

One value a row. Made for training: a whole batch costs a few FFTs. For single clips of better
quality see :mod:`grafprint.degradation.tempo`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from grafprint.audio import SAMPLE_RATE

_FRAME, _HOP = 1024, 256  # of the phase vocoder
_RING = 2048  # samples of silence that a filter rings into, instead of into the start


def stretch_rows(audio: Tensor, factor: Tensor, samples: int) -> Tensor:
    """Make each of ``audio [B, n]`` last ``factor [B]`` times as long: its first ``samples``.

    A phase vocoder: magnitudes are interpolated in time, and phases advance as they do in the
    original. Each bin takes its phase from itself and its neighbours together, so that those of a
    partial stay in step (loose phase locking: Puckette, 1995). What is beyond the end is silence.
    """
    window = torch.hann_window(_FRAME, device=audio.device)
    spectrum = torch.stft(audio, _FRAME, _HOP, window=window, return_complex=True)
    frames = samples // _HOP + 1
    place = torch.arange(frames, device=audio.device) / factor[:, None]
    beyond = place > spectrum.shape[2] - 2
    first = place.long().clamp_max(spectrum.shape[2] - 2)
    index = first[:, None].expand(-1, spectrum.shape[1], -1)
    now, then = spectrum.gather(2, index), spectrum.gather(2, index + 1)
    magnitude = torch.lerp(now.abs(), then.abs(), (place - first).clamp(0, 1)[:, None])
    magnitude = magnitude.masked_fill(beyond[:, None], 0.0)
    # How far a bin turns in a hop, as a number of length one.
    turn = _unit(then * now.conj())
    pieces = [torch.polar(magnitude[:, :, 0], now[:, :, 0].angle())]
    for number in range(1, frames):
        # In a Hann window's main lobe the signs of neighbouring bins alternate.
        around = F.pad(torch.view_as_real(pieces[-1]), (0, 0, 1, 1))
        locked = pieces[-1] - torch.view_as_complex(around[:, :-2] + around[:, 2:])
        pieces.append(magnitude[:, :, number] * _unit(locked) * turn[:, :, number - 1])
    turned = torch.stack(pieces, dim=2)
    return torch.istft(turned, _FRAME, _HOP, window=window, length=samples)


def _unit(z: Tensor) -> Tensor:
    # torch.sgn rounds differently at the end of a row, which the sums of phases then amplify.
    return z / z.abs().clamp_min(1e-12)


def resample_rows(audio: Tensor, speed: Tensor, samples: int) -> Tensor:
    """Play each of ``audio [B, n]`` ``speed [B]`` times as fast: its first ``samples``.

    The start stays in place. What would alias is filtered out first, then interpolated by cubics;
    what is beyond the end is silence.
    """
    speed = speed.to(audio.dtype)
    played = F.pad(audio[:, :samples], (0, max(0, samples - audio.shape[1])))
    changed = (speed != 1).nonzero()[:, 0]
    if len(changed):
        played = played.clone()
        played[changed] = _interpolate(audio[changed], speed[changed], samples)
    return played


def _interpolate(audio: Tensor, speed: Tensor, samples: int) -> Tensor:
    faster = (speed > 1).nonzero()[:, 0]
    if len(faster):
        audio = audio.clone()
        highest = SAMPLE_RATE / 2 / speed[faster, None] * 0.95
        audio[faster] = _filter(audio[faster], lambda hertz: 1e-4 ** (hertz > highest).float())
    padded = F.pad(audio, (1, 3))
    place = 1 + torch.arange(samples, device=audio.device) * speed[:, None]
    beyond = place > audio.shape[1]
    place = place.clamp_max(audio.shape[1])
    whole = place.long()
    t = place - whole
    p0, p1, p2, p3 = (padded.gather(1, whole + shift) for shift in (-1, 0, 1, 2))
    # Catmull-Rom.
    played = p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return played.masked_fill(beyond, 0.0)


def change_pitch_and_tempo(audio: Tensor, semitones: Tensor, speed: Tensor, samples: int) -> Tensor:
    """Shift pitch by ``semitones [B]`` and play at ``speed [B]`` times the tempo.

    Rows whose pitch goes with the tempo (varispeed: ``semitones == 12 log2(speed)``) are resampled
    only. ``audio [B, n]`` should have ``samples * max(speed)`` samples and 1024 more.
    """
    ratio = 2 ** (semitones / 12)
    factor = ratio / speed
    apart = (factor.log2().abs() > 1e-4).nonzero()[:, 0]
    length = math.ceil(samples * float(ratio.max().clamp_min(1))) + _FRAME
    source = F.pad(audio, (0, max(0, length - audio.shape[1])))
    if len(apart):
        source = source.clone()
        source[apart] = 0
        source[apart, :length] = stretch_rows(audio[apart], factor[apart], length)
    return resample_rows(source, ratio, samples)


def filter_band(audio: Tensor, low_hz: Tensor, high_hz: Tensor) -> Tensor:
    """High-pass and low-pass ``audio [B, n]`` at ``[B]`` Hz, 12 dB an octave; 0, inf: neither."""
    rows = ((low_hz > 0) | (high_hz < torch.inf)).nonzero()[:, 0]
    if not len(rows):
        return audio
    low, high = low_hz[rows, None], high_hz[rows, None]
    filtered = audio.clone()
    # Half the slope of powers: these are amplitudes.
    filtered[rows] = _filter(
        audio[rows],
        lambda hertz: (
            (1 + (low / hertz).square().square()) * (1 + (hertz / high).square().square())
        ).rsqrt(),
    )
    return filtered


def _filter(audio: Tensor, response: Callable[[Tensor], Tensor]) -> Tensor:
    """Multiply spectra by a response ``[B, f]`` at frequencies ``[f]``, without delay."""
    n = audio.shape[1]
    size = next_fast_len(n + _RING, real=True)
    hertz = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE, device=audio.device).clamp_min(1)
    return torch.fft.irfft(torch.fft.rfft(audio, size) * response(hertz), size)[:, :n]


def compress(audio: Tensor, ratio: Tensor) -> Tensor:
    """Compress the dynamics of ``audio [B, n]`` by ``ratio [B]`` (1: not) above 12 dB under peak.

    The level is a mean over 20 ms.
    """
    rows = (ratio != 1).nonzero()[:, 0]
    if not len(rows):
        return audio
    compressed = audio.clone()
    compressed[rows] = _compress(audio[rows], ratio[rows])
    return compressed


def _compress(audio: Tensor, ratio: Tensor) -> Tensor:
    width = SAMPLE_RATE // 50 | 1
    sums = F.pad(audio.square(), (width // 2 + 1, width // 2)).double().cumsum(dim=1)
    level = ((sums[:, width:] - sums[:, :-width]) / width).float().clamp_min(1e-12)
    over_db = (10 * (level / level.amax(dim=1, keepdim=True)).log10() + 12).clamp_min(0)
    return audio * 10 ** (over_db * (1 / ratio[:, None] - 1) / 20)
