"""Presets for degrading a clip: the middle of what training draws for a place."""

from __future__ import annotations

import math

from grafprint.degradation.rerecording import PRESETS, RerecordingConfig
from grafprint.degradation.settings import Degradation, Loudspeaker, Recorder

# What the banks of noises and rooms decide in training: noise, second noise, RT60 in seconds.
PLACES = {
    "phone across the room": ("babble", "street", 0.6),
    "laptop in a café": ("cafe", "babble", 0.7),
    "car radio": ("machine", "street", 0.2),
    "club": ("babble", "babble", 1.2),
}
_OFTEN = 0.5  # a part belongs to a preset from this probability on


def preset(name: str, seed: int = 0) -> Degradation:
    """The Degradation for a name of PRESETS. Raises ValueError for another one."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; there are: {', '.join(PRESETS)}")
    c: RerecordingConfig = PRESETS[name]
    noise, second, rt60_s = PLACES[name]
    microphone = c.microphone_probability >= _OFTEN
    return Degradation(
        snr_db=_middle(c.snr_db) if c.noise_probability >= _OFTEN else None,
        noise=noise,
        room=rt60_s if c.room_probability >= _OFTEN else None,
        low_hz=_log_middle(c.microphone_low_hz) if microphone else 0.0,
        high_hz=_log_middle(c.microphone_high_hz) if microphone else math.inf,
        seed=seed,
        second_noise=second if c.second_noise_probability >= _OFTEN else None,
        noise_in_room=True,
        loudspeaker=_loudspeaker(c) if c.loudspeaker_probability >= _OFTEN else Loudspeaker(),
        recorder=Recorder(
            uneven_db=c.microphone_db if microphone else 0.0,
            hiss_db=_middle(c.hiss_db) if c.hiss_probability >= _OFTEN else None,
            suppression_db=13.0 if c.suppression_probability >= _OFTEN else 0.0,
            gain_control=0.65 if c.gain_control_probability >= _OFTEN else 0.0,
            limiter=1.0 if c.limiter_probability >= _OFTEN else 0.0,
        ),
    )


def _loudspeaker(c: RerecordingConfig) -> Loudspeaker:
    return Loudspeaker(
        high_pass_hz=_log_middle(c.high_pass_hz),
        high_pass_db=_middle(c.high_pass_db),
        tilt_db=_middle(c.tilt_db),
        resonance_db=c.resonance_db / 2,
        drive=_log_middle(c.drive) if c.distortion_probability >= _OFTEN else 0.0,
    )


def _middle(bounds: tuple[float, float]) -> float:
    return sum(bounds) / 2


def _log_middle(bounds: tuple[float, float]) -> float:
    return math.sqrt(bounds[0] * bounds[1])
