"""Settings of a re-ranker's training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grafprint.errors import ConfigError
from grafprint.models.rerankers import CrossAttentionConfig
from grafprint.training.config import load_settings, settings_of
from grafprint.training.sample_pairs import SamplePairsConfig

_LEAST = {
    "steps": 1,
    "batch": 2,
    "negatives": 1,
    "among": 1,
    "memory": 0,
    "learning_rate": 0,
    "final_learning_rate": 0,
    "warmup_steps": 0,
    "seed": 0,
    "validate_every": 1,
    "save_every": 1,
}


@dataclass(frozen=True)
class RerankingConfig:
    """A re-ranker's training run. Paper: 5 epochs, batches of 32, 1e-4."""

    steps: int = 2000
    batch: int = 32  # songs a step, each with one that samples it
    negatives: int = 3  # a query; in use most candidates are wrong
    among: int = 16  # the most similar, of which negatives are drawn
    memory: int = 512  # references of earlier steps that can be negatives
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    warmup_steps: int = 50
    mix_share: float = 1.0  # of references that are whole songs, as in a library
    cross_song_share: float = 0.8  # of samples under another song
    stem_share: float = 0.5  # of songs with stems in a batch; the others are recordings
    samples: SamplePairsConfig = field(default_factory=SamplePairsConfig)
    network: dict[str, Any] = field(default_factory=dict)  # fields of CrossAttentionConfig
    seed: int = 0
    validate_every: int = 200
    save_every: int = 200

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("mix_share", "cross_song_share", "stem_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        settings_of(CrossAttentionConfig, self.network)

    @property
    def cosine_start(self) -> int:
        """The step from which the learning rate falls: after the warm-up."""
        return self.warmup_steps


def load_reranking_config(path: Path) -> RerankingConfig:
    """Settings from a JSON file; missing ones keep their defaults.

    Raises FileNotFoundError if there is no such file, ConfigError if it holds anything else.
    """
    return load_settings(path, _config_of)


def _config_of(values: Mapping[str, Any]) -> RerankingConfig:
    values = dict(values)
    samples = settings_of(SamplePairsConfig, values.pop("samples", {}))
    return settings_of(RerankingConfig, values | {"samples": samples})
