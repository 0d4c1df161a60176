"""The settings of a training run, and the learning rate at each of its steps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from grafprint.degradation.augmentation import DegradeConfig
from grafprint.degradation.rerecording import RerecordingConfig

_Settings = TypeVar("_Settings", "TrainConfig", DegradeConfig, RerecordingConfig)


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Paper: Adam 8e-5 to 7e-7, 12,400 steps of 256 pairs, temperature 0.05."""

    encoder: str = "grafprint"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    steps: int = 12_400
    batch: int = 256  # pairs over all processes
    learning_rate: float = 8e-5
    final_learning_rate: float = 7e-7
    warmup_steps: int = 100
    loss: str = "nt-xent"  # or "triplet", with semi-hard negatives
    temperature: float = 0.05  # of NT-Xent
    offset_s: float = 0.05  # +-50 ms, section III-C
    segments_per_track: int = 1  # more: a batch holds hard negatives, the same music a moment later
    gap_s: tuple[float, float] = (0.1, 1.0)  # between neighbouring segments of a track
    memory: int = 0  # fingerprints of earlier batches that serve as negatives
    average: float = 0.0  # decay of the moving average of the weights; 0: the weights themselves
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    cutout_probability: float = 0.0  # of a rectangle erased from the degraded view's spectrogram
    band_mask_probability: float = 0.0  # of its bass, its treble or both erased
    precision: str = "bf16-mixed"
    compile: bool = False  # minutes to begin with, then faster steps; needs a C++ compiler
    seed: int = 0
    validate_every: int = 500
    save_every: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        if self.loss not in ("nt-xent", "triplet"):
            raise ValueError(f"the loss is nt-xent or triplet, not {self.loss!r}")
        if self.loss == "triplet" and self.memory:
            raise ValueError("a memory of negatives goes with the loss nt-xent only")


def load_config(path: Path) -> TrainConfig:
    """The settings in a JSON file, those it does not name at their defaults.

    Raises FileNotFoundError if there is none, ValueError if it is not such a file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file of settings")
    try:
        return config_of(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not the settings of a training run: {error}") from error


def config_of(values: Mapping[str, Any]) -> TrainConfig:
    """The settings of which some are given as JSON has them; ValueError for unknown names."""
    values = dict(values)
    chain = dict(values.pop("degrade", {}))
    rerecording = _made(RerecordingConfig, chain.pop("rerecording", {}))
    degrade = replace(_made(DegradeConfig, chain), rerecording=rerecording)
    return replace(_made(TrainConfig, values), degrade=degrade)


def _made(kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    known = {f.name for f in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"there is no setting {', '.join(unknown)}")
    # JSON has lists where the settings have tuples.
    settings: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    return kind(**settings)


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine from ``learning_rate`` to ``final_learning_rate``."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
