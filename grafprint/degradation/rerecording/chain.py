"""The chain of a virtual re-recording, on batches, with every setting given.

Loudspeaker -> room, in which the noise stands too -> microphone -> processing of the recorder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.effects import power
from grafprint.degradation.rerecording.processing import (
    add_hiss,
    at_power,
    control_gain,
    saturate,
    suppress_noise,
)
from grafprint.degradation.rerecording.responses import spread

_WARM_UP_S = 0.5  # of the past: the recorder's gain control has settled when the segment begins
_RINGING = 2048  # samples for which a filter without delay rings


@dataclass(frozen=True, eq=False)
class Step:
    """A part of the chain for some clips: ``rows [r]``, and its settings for them, ``[r, k]``."""

    rows: Tensor
    settings: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise for some clips: ``rows [r]``, ``sound [r, past + n]``.

    It is convolved with the response of its ``place [r, m]`` in the room, if any. ``gain [r, 1]``
    is the amplitude of this noise before that, relative to a first noise; None: 1.
    """

    rows: Tensor
    sound: Tensor
    place: Tensor | None = None
    gain: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Settings:
    """The settings of the parts for a batch; None: without that part.

    The steps' settings are those of the functions in processing.py, in their order. Responses in
    dB, ``[B, knots]``, are at the frequencies of :func:`spread`; ``room [B, m]`` is a response in
    time. The first of the noises covers all clips. ``snr_db [B, 1]`` is that of all noises
    together, of past and segment or, with ``segment_snr``, of the segment alone;
    ``noisy [B, 1]`` is 1 where there is noise, else 0.
    """

    distortion: Step | None = None
    loudspeaker_db: Tensor | None = None
    room: Tensor | None = None
    noises: tuple[Noise, ...] = ()
    noisy: Tensor | float = 1.0
    snr_db: Tensor | float = 0.0
    segment_snr: bool = False
    microphone_db: Tensor | None = None
    hiss: Step | None = None
    suppression: Step | None = None
    gain_control: Step | None = None
    limiter: Step | None = None


def record(audio: Tensor, past: int, settings: Settings) -> Tensor:
    """Re-record ``audio [B, past + n]`` and return the last ``[B, n]``.

    ``past`` is the number of samples before the segment, whose reverberation is heard in it.
    """
    level = power(audio)
    audio = apply(settings.distortion, audio, saturate)
    sound = _acoustics(audio, past, level, settings)[:, -heard(audio.shape[1], past) :]
    sound = apply(settings.hiss, sound, add_hiss)
    sound = apply(settings.suppression, sound, suppress_noise)
    sound = apply(settings.gain_control, sound, control_gain)
    sound = apply(settings.limiter, sound, saturate)
    return sound[:, -(audio.shape[1] - past) :]


def heard(total: int, past: int) -> int:
    """How many of the last of ``total`` samples the recorder processes."""
    return total - past + min(past, round(_WARM_UP_S * SAMPLE_RATE))


def apply(step: Step | None, sound: Tensor, process: Callable[..., Tensor]) -> Tensor:
    """Process those rows of ``sound [B, n]`` that a step is for."""
    if step is None:
        return sound
    sound = sound.clone()
    sound[step.rows] = process(sound[step.rows], *step.settings)
    return sound


def _acoustics(audio: Tensor, past: int, level: Tensor, s: Settings) -> Tensor:
    """Music and noise ``[B, past + n]`` as the microphone picks them up.

    The music is brought to its ``level [B, 1]`` (power). An SNR of past and segment together does
    not turn up a talker who pauses in the segment.
    """
    total = audio.shape[1]
    # Circular convolution may spoil the past but not the segment.
    late = 0 if s.room is None else s.room.shape[1] - 1 - past
    size = next_fast_len(total + max(_RINGING, late), real=True)
    music = torch.fft.rfft(audio, size)
    if s.loudspeaker_db is not None:
        music *= spread(s.loudspeaker_db, size)
    if s.room is not None:
        music *= torch.fft.rfft(s.room, size)
    noise = _noise(s.noises, size)
    if s.microphone_db is not None:
        response = spread(s.microphone_db, size)
        music *= response
        if noise is not None:
            noise *= response
    sound = at_power(torch.fft.irfft(music, size)[:, :total], level)
    if noise is None:
        return sound
    noisy = torch.fft.irfft(noise, size)[:, :total]
    begin = past if s.segment_snr else 0
    wanted = power(sound[:, begin:]) / 10 ** (s.snr_db / 10)
    gain = (wanted / power(noisy[:, begin:]).clamp_min(1e-20)).sqrt()
    return sound + s.noisy * (noisy * gain)


def _noise(noises: tuple[Noise, ...], size: int) -> Tensor | None:
    """The spectrum ``[B, f]`` of all noises together."""
    if not noises:
        return None
    first, *others = noises
    total = _spectra(first, size)
    for noise in others:
        spectra = _spectra(noise, size)
        total[noise.rows] += spectra if noise.gain is None else noise.gain * spectra
    return total


def _spectra(noise: Noise, size: int) -> Tensor:
    sound = noise.sound
    spectra = torch.fft.rfft(at_power(sound, torch.ones_like(sound[:, :1])), size)
    if noise.place is not None:
        spectra *= torch.fft.rfft(noise.place, size)
    return spectra
