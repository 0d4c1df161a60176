"""Virtual re-recording: music from a loudspeaker in a room, recorded by a phone, in one chain.

Loudspeaker -> room, in which the noise stands too -> microphone -> phone processing -> codec.
Batched and seeded. :class:`Rerecord` draws every setting at random, for training; for one clip with
chosen settings see :mod:`grafprint.degradation.clip`.
"""

from grafprint.degradation.rerecording.chain import Noise, Settings, Step, record
from grafprint.degradation.rerecording.config import PRESETS, RerecordingConfig
from grafprint.degradation.rerecording.drawn import Rerecord
from grafprint.degradation.rerecording.processing import (
    add_hiss,
    at_power,
    control_gain,
    saturate,
    suppress_noise,
)
from grafprint.degradation.rerecording.responses import (
    loudspeaker_db,
    microphone_db,
    other_place,
    spread,
)

__all__ = [
    "PRESETS",
    "Noise",
    "Rerecord",
    "RerecordingConfig",
    "Settings",
    "Step",
    "add_hiss",
    "at_power",
    "control_gain",
    "loudspeaker_db",
    "microphone_db",
    "other_place",
    "record",
    "saturate",
    "spread",
    "suppress_noise",
]
