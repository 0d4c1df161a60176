"""Degrade one clip by the chain of training, but with every step chosen instead of drawn.

The steps: speed and pitch, loudspeaker, room with noise, microphone, processing of the recorder
(:mod:`grafprint.degradation.rerecording`), clipping, codec.
"""

from __future__ import annotations

import numpy as np
import torch

from grafprint.degradation.chosen import settings_of
from grafprint.degradation.codecs import transcode
from grafprint.degradation.effects import clip_peaks
from grafprint.degradation.rerecording import record
from grafprint.degradation.settings import CODEC_NAMES, Degradation
from grafprint.degradation.tempo import play_at_speed, shift_pitch


def degrade(samples: np.ndarray, wanted: Degradation, past: np.ndarray | None = None) -> np.ndarray:
    """Degrade a clip ``[n]`` (float, 16 kHz): float32 ``[n]``, or ``[n / speed]``.

    Nothing is delayed. ``past [m]`` is the music right before the clip, whose reverberation is
    heard in it; without it, the room is empty before the clip. The SNR is that of the clip, as the
    microphone hears it. If the result exceeds full scale, all of it is attenuated, so that noise
    does not clip. Raises ValueError for a noise of an unknown kind.
    """
    before = np.empty(0, np.float32) if past is None else past
    music = np.concatenate([before, samples]).astype(np.float32)
    n, total = round(len(samples) / wanted.speed), round(len(music) / wanted.speed)
    music = shift_pitch(play_at_speed(music, wanted.speed), wanted.semitones)
    music = np.pad(music, (0, total - len(music)))
    settings = settings_of(wanted, total, total - n)
    if settings is None:
        clip = torch.from_numpy(music)[None, total - n :]
    else:
        clip = record(torch.from_numpy(music)[None], total - n, settings)
    if wanted.clip_share < 1:
        clip = clip_peaks(clip, torch.tensor([wanted.clip_share]))
    result = clip[0].numpy()
    if wanted.codec is not None:
        result = transcode(result, *CODEC_NAMES[wanted.codec])
    loudest = float(np.abs(result).max(initial=0.0))
    return result / loudest if loudest > 1 else result
