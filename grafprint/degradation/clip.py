"""Degrade one clip as in training, but with every step chosen instead of drawn.

The steps, in the order of augmentation.py: room, cut, noise at an exact SNR, band, clipping, codec.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.banks import NoiseBank
from grafprint.degradation.codecs import CODECS, transcode
from grafprint.degradation.effects import clip_peaks, mix_at_snr, prepare_rir, reverberate
from grafprint.degradation.filters import limit_band

# Reverberation times that simulated rooms can have: see synthetic_rooms.room.
LEAST_RT60_S, MOST_RT60_S = 0.2, 1.0

# "opus 6 kbit/s" -> encoder, container, bit rate.
CODEC_NAMES = {
    f"{codec.removeprefix('lib').removesuffix('lame')} {rate // 1000} kbit/s": (
        codec,
        container,
        rate,
    )
    for codec, container, rates in CODECS
    for rate in rates
}


@dataclass(frozen=True, eq=False)
class Degradation:
    """How to degrade a clip; by default not at all.

    ``noise`` is a kind of synthetic_noise.NOISES, or recorded noises to take a part of. ``room`` is
    the reverberation time in seconds (LEAST_RT60_S to MOST_RT60_S) of a simulated room, or a room
    response ``[m]``; ``wet`` (0..1) is its share in the mix with the dry music. The clip is clipped
    at ``clip_share`` of its peak; at 1 not at all. ``codec`` is one of CODEC_NAMES. ``seed``
    decides on the part of the noise and the size of the room. Raises ValueError for invalid values.
    """

    snr_db: float | None = None
    noise: str | NoiseBank = "pink"
    room: float | np.ndarray | None = None
    wet: float = 1.0
    low_hz: float = 0.0
    high_hz: float = math.inf
    clip_share: float = 1.0
    codec: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.snr_db is not None and not math.isfinite(self.snr_db):
            raise ValueError(f"the SNR must be a finite number of decibels, not {self.snr_db}")
        if isinstance(self.room, float) and not LEAST_RT60_S <= self.room <= MOST_RT60_S:
            raise ValueError(
                f"the reverberation time must be {LEAST_RT60_S:g} to {MOST_RT60_S:g} s, not "
                f"{self.room:g}"
            )
        if not 0 <= self.wet <= 1:
            raise ValueError(f"the share of the room must be 0 to 1, not {self.wet}")
        if not 0 < self.clip_share <= 1:
            raise ValueError(
                f"the clipping level must be above 0 and at most 1, not {self.clip_share}"
            )
        if not 0 <= self.low_hz < self.high_hz:
            raise ValueError(f"there is no band from {self.low_hz} to {self.high_hz} Hz")
        if self.codec is not None and self.codec not in CODEC_NAMES:
            raise ValueError(f"no codec {self.codec!r}; there are: {', '.join(CODEC_NAMES)}")


def degrade(samples: np.ndarray, wanted: Degradation, past: np.ndarray | None = None) -> np.ndarray:
    """Degrade ``samples [n]`` (mono, 16 kHz): float32 ``[n]``, without delay.

    ``past [m]`` is the music right before them, whose reverberation is included. The SNR is exact
    before band, clipping and codec. A result above full scale is attenuated as a whole. Raises
    ValueError for an unknown noise, and for a room that is silent or cannot be simulated.
    """
    n = len(samples)
    before = np.empty(0, np.float32) if past is None else past
    clip = torch.from_numpy(np.concatenate([before, samples]).astype(np.float32)[None])
    if wanted.room is not None and wanted.wet > 0:
        response = mix_with_dry(_response(wanted.room, wanted.seed), wanted.wet)
        clip = reverberate(clip, torch.from_numpy(response)[None])
    clip = clip[:, len(before) :]
    if wanted.snr_db is not None:
        noise = _noise(wanted.noise, n, wanted.seed)
        clip = mix_at_snr(clip, noise, torch.tensor([wanted.snr_db]))
    if wanted.low_hz > 0 or wanted.high_hz < math.inf:
        clip = limit_band(clip, wanted.low_hz, wanted.high_hz)
    if wanted.clip_share < 1:
        clip = clip_peaks(clip, torch.tensor([wanted.clip_share]))
    result = clip[0].numpy()
    if wanted.codec is not None:
        result = transcode(result, *CODEC_NAMES[wanted.codec])
    loudest = float(np.abs(result).max(initial=0.0))
    return result / loudest if loudest > 1 else result


def mix_with_dry(response: np.ndarray, wet: float) -> np.ndarray:
    """Mix a prepared room response ``[m]``, at the share ``wet``, with a dry one.

    The dry sound coincides with the direct sound, which keeps its place, and has its sign, so that
    the two do not cancel.
    """
    mixed = np.float32(wet) * response
    mixed[0] += (1 - wet) * math.copysign(1.0, response[0])
    return mixed


def _noise(noise: str | NoiseBank, samples: int, seed: int) -> torch.Tensor:
    """Noise ``[1, samples]``."""
    if isinstance(noise, NoiseBank):
        return noise.draw(1, samples, torch.Generator().manual_seed(seed))
    return torch.tensor(synthetic_noise.noise(noise, samples, seed))[None]


def _response(room: float | np.ndarray, seed: int) -> np.ndarray:
    return prepare_rir(room) if isinstance(room, np.ndarray) else _simulated(room, seed)


@lru_cache(maxsize=64)
def _simulated(rt60_s: float, seed: int) -> np.ndarray:
    return prepare_rir(synthetic_rooms.room(rt60_s, np.random.default_rng(seed)))
