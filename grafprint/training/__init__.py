"""Train a network on music, or distil one from a trained network."""

from grafprint.errors import DivergedError
from grafprint.training.config import TrainConfig
from grafprint.training.contrastive import Progress, train

__all__ = [
    "DivergedError",
    "Progress",
    "TrainConfig",
    "train",
]
