"""Responses of loudspeakers, microphones and places in a room."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.filters import band_db
from grafprint.degradation.rerecording.draw import Draw

_REFLECTIONS = 12
# Frequency responses are computed at these frequencies and interpolated.
_KNOTS_HZ = torch.logspace(1, 13, 289, base=2.0)[None]  # 2 Hz to 8192 Hz, 24 an octave


def loudspeaker_db(
    high_pass_hz: Tensor,
    high_pass_db: Tensor,
    tilt_db: Tensor,
    resonance_hz: Tensor,
    resonance_db: Tensor,
    resonance_octaves: Tensor,
) -> Tensor:
    """A loudspeaker's response in dB at the frequencies of :func:`spread`, ``[B, knots]``.

    A high-pass of ``high_pass_db`` an octave, a tilt of ``tilt_db`` from 100 Hz to 8 kHz (both
    ``[B, 1]``), and resonances: ``[B, r]`` centres, heights and widths.
    """
    hertz = _KNOTS_HZ.to(high_pass_hz.device)
    gain_db = band_db(hertz, high_pass_hz, torch.inf, high_pass_db / 3.01, 1.0)
    gain_db = gain_db + tilt_db * (hertz / 100).log2().clamp(-1.0) / math.log2(80)
    away = (hertz[:, None] / resonance_hz[:, :, None]).log2() / resonance_octaves[:, :, None]
    return gain_db + (resonance_db[:, :, None] * (-away.square()).exp()).sum(dim=1)


def microphone_db(low_hz: Tensor, high_hz: Tensor, octaves_db: Tensor) -> Tensor:
    """A microphone's response in dB at the frequencies of :func:`spread`, ``[B, knots]``.

    Falls by 12 dB an octave below ``low_hz`` and by 24 above ``high_hz`` (``[B, 1]``), and wanders
    through ``octaves_db [B, 13]``, one value an octave from 2 Hz on.
    """
    hertz = _KNOTS_HZ.to(low_hz.device)
    wander = F.interpolate(octaves_db[:, None], hertz.shape[1], mode="linear", align_corners=True)
    return band_db(hertz, low_hz, high_hz, 4.0, 8.0) + wander[:, 0]


def spread(knots_db: Tensor, size: int) -> Tensor:
    """Amplitudes ``[B, size // 2 + 1]`` for ``rfft(..., size)`` from a response in dB."""
    octave = _KNOTS_HZ.to(knots_db.device)[0].log2()
    hertz = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE, device=knots_db.device)
    position = (hertz.clamp_min(2.0).log2() - octave[0]) / (octave[1] - octave[0])
    left = position.long().clamp_max(len(octave) - 2)
    knots = 10 ** (knots_db / 20)
    return torch.lerp(knots[:, left], knots[:, left + 1], position - left)


def other_place(responses: Tensor, generator: torch.Generator) -> Tensor:
    """Responses ``[B, m]`` of another place in the same rooms.

    The reverberation has the same decay and level but another fine structure; reflections and the
    level of the direct sound, -12 to 6 dB from what it was, are drawn. An impulse stays one, at
    another level.
    """
    draw, (batch, m) = Draw(generator, responses.device), responses.shape
    time_s = torch.arange(m, device=responses.device) / SAMPLE_RATE
    tail = responses * ((time_s - 0.005) / 0.025).clamp(0, 1)
    # Noise of 500 Hz: the tail's spectrum is blurred by that much, and its envelope kept.
    fine = draw.normal(batch, 2 + m * 1000 // SAMPLE_RATE)
    tail = tail * F.interpolate(fine[:, None], m, mode="linear", align_corners=True)[:, 0]
    energy = tail.square().sum(dim=1, keepdim=True)
    direct = responses[:, : round(0.005 * SAMPLE_RATE)].square().sum(dim=1, keepdim=True).sqrt()
    after = 0.06 * draw.uniform(batch, 0.0, 1.0, _REFLECTIONS) ** 1.5
    strength = draw.normal(batch, _REFLECTIONS) * (-after / 0.02).exp()
    strength = strength / strength.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-9)
    strength = strength * (energy * draw.uniform(batch, 0.05, 0.5)).sqrt()
    moment = (1 + after * SAMPLE_RATE).long().clamp_max(m - 1)
    result = tail.scatter_add(1, moment, strength)
    result[:, :1] += direct * 10 ** (draw.uniform(batch, -12.0, 6.0) / 20)
    return result
