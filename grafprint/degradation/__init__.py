"""Degrade audio by noise, rooms, codecs and filters, drawn at random or chosen."""

from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.clip import Degradation, degrade

__all__ = [
    "Degradation",
    "Degrade",
    "DegradeConfig",
    "NoiseBank",
    "RoomBank",
    "degrade",
]
