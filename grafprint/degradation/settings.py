"""The settings for degrading a clip: what :func:`grafprint.degradation.degrade` does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.banks import NoiseBank
from grafprint.degradation.codecs import CODECS

# Reverberation times that synthetic rooms can have: see synthetic_rooms.hall.
LEAST_RT60_S, MOST_RT60_S = 0.2, 4.0
SLOWEST, FASTEST = 0.5, 2.0
MOST_SEMITONES = 12.0

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


@dataclass(frozen=True)
class Loudspeaker:
    """A loudspeaker; by default a perfect one.

    It falls by ``high_pass_db`` an octave below ``high_pass_hz`` (0: it does not), rises by
    ``tilt_db`` from 100 Hz to 8 kHz, has resonances of up to ``resonance_db`` up or down, and
    distorts: at a ``drive`` of 1 it saturates at three times the RMS, at 0 not at all. Raises
    ValueError for invalid values.
    """

    high_pass_hz: float = 0.0
    high_pass_db: float = 24.0
    tilt_db: float = 0.0
    resonance_db: float = 0.0
    drive: float = 0.0

    def __post_init__(self) -> None:
        _check("the loudspeaker's lowest frequency", self.high_pass_hz, 0, 8000, "Hz")
        _check("the loudspeaker's slope", self.high_pass_db, 3, 96, "dB an octave")
        _check("the loudspeaker's tilt", self.tilt_db, -60, 60, "dB")
        _check("the loudspeaker's resonances", self.resonance_db, 0, 40, "dB")
        _check("the loudspeaker's drive", self.drive, 0, 100)

    @property
    def filters(self) -> bool:
        """Whether its response is not flat."""
        return bool(self.high_pass_hz or self.tilt_db or self.resonance_db)


@dataclass(frozen=True)
class Recorder:
    """What a recording device adds; by default nothing.

    Its microphone's response wanders by ``uneven_db`` (a standard deviation) from octave to octave.
    ``hiss_db`` is the level of steady noise relative to all else. Noise suppression turns what is
    steady down by ``suppression_db`` at most. ``gain_control`` (0..1) is the share of slow changes
    of level that are evened out. The ``limiter`` works as a loudspeaker's drive. Raises ValueError
    for invalid values.
    """

    uneven_db: float = 0.0
    hiss_db: float | None = None
    suppression_db: float = 0.0
    gain_control: float = 0.0
    limiter: float = 0.0

    def __post_init__(self) -> None:
        _check("the microphone's unevenness", self.uneven_db, 0, 20, "dB")
        if self.hiss_db is not None:
            _check("the level of the hiss", self.hiss_db, -120, 40, "dB")
        _check("noise suppression", self.suppression_db, 0, 60, "dB")
        _check("gain control", self.gain_control, 0, 1)
        _check("the limiter's drive", self.limiter, 0, 100)


@dataclass(frozen=True, eq=False)
class Degradation:
    """How to degrade a clip; by default not at all.

    ``noise`` is a kind of synthetic_noise.NOISES, or recorded noises to take a part of; the
    ``second_noise``, if any, is another one, at ``second_noise_db`` relative to it, and ``snr_db``
    is that of both. ``room`` is the reverberation time in seconds (LEAST_RT60_S to MOST_RT60_S) of
    a synthetic room, or a room response ``[m]``; ``wet`` (0..1) is its share in the mix with the
    dry music. With ``noise_in_room`` the noises stand in the same room, each at another place. The
    microphone hears from ``low_hz`` to ``high_hz``. The clip is clipped at ``clip_share`` of its
    peak; at 1 not at all. ``codec`` is one of CODEC_NAMES. ``speed`` is 1.05 for 5 % faster, with
    the pitch; ``semitones`` shift the pitch alone. ``seed`` decides on all that is not set: the
    part of the noise, the size of the room, the places in it and so on. A change of one setting
    leaves that of the others as it is. Raises ValueError for invalid values.
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
    second_noise: str | NoiseBank | None = None
    second_noise_db: float = -5.0
    noise_in_room: bool = False
    loudspeaker: Loudspeaker = field(default_factory=Loudspeaker)
    recorder: Recorder = field(default_factory=Recorder)
    speed: float = 1.0
    semitones: float = 0.0

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
        if not math.isfinite(self.second_noise_db):
            raise ValueError(
                f"the second noise's level must be a finite number of decibels, not "
                f"{self.second_noise_db}"
            )
        if not SLOWEST <= self.speed <= FASTEST:
            raise ValueError(
                f"the speed must be {SLOWEST:g} to {FASTEST:g} times the original's, not "
                f"{self.speed}"
            )
        if not abs(self.semitones) <= MOST_SEMITONES:
            raise ValueError(
                f"the pitch can be shifted by at most {MOST_SEMITONES:g} semitones, not "
                f"{self.semitones}"
            )

    def drift_s(self, samples: int) -> float:
        """How far a degraded clip of so many samples and its original drift apart by the speed."""
        return abs(self.speed - 1) * samples / SAMPLE_RATE


def _check(name: str, value: float, low: float, high: float, unit: str = "") -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be {low:g} to {high:g} {unit}".rstrip() + f", not {value}")
