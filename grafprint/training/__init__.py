"""Train a network on music, or distil one from a trained network."""

from grafprint.errors import DivergedError
from grafprint.training.config import TrainConfig
from grafprint.training.contrastive import train
from grafprint.training.loop import Progress

__all__ = [
    "DivergedError",
    "Progress",
    "TrainConfig",
    "train",
]
