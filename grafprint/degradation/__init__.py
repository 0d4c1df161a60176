"""Degrade audio by noise, rooms, codecs and filters, drawn at random or chosen."""

from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.clip import degrade
from grafprint.degradation.presets import preset
from grafprint.degradation.settings import Degradation, Loudspeaker, Recorder

__all__ = [
    "Degradation",
    "Degrade",
    "DegradeConfig",
    "Loudspeaker",
    "NoiseBank",
    "Recorder",
    "RoomBank",
    "degrade",
    "preset",
]
