"""Settings of a tagger's training, and the learning rate at each step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grafprint.errors import ConfigError
from grafprint.models.taggers import ATGNNConfig, features_of, variant
from grafprint.training.config import PRECISIONS, load_settings, settings_of

_LEAST = {
    "epochs": 1,
    "batch": 2,
    "learning_rate": 0,
    "warmup_steps": 0,
    "halve_after_epochs": 0,
    "halve_every_epochs": 1,
    "clip_gradients": 0,
    "seed": 0,
    "workers": 0,
    "validate_every_epochs": 1,
    "save_every": 1,
}
_SHARES = ("mixup", "frequency_mask", "time_mask")


@dataclass(frozen=True)
class TaggingConfig:
    """A tagger's training run; the defaults are the paper's for FSD50K (section III-B).

    For AudioSet the paper trains 60 epochs and halves after 35; its description of when exactly is
    garbled, and this is the reading of the training that it follows (PSLA).
    """

    variant: str = "pyr-s"  # one of grafprint.models.taggers.VARIANTS
    label_nodes: bool = True
    network_options: dict[str, Any] = field(default_factory=dict)  # fields of ATGNNConfig
    epochs: int = 50
    batch: int = 24  # clips over all processes
    learning_rate: float = 5e-4
    warmup_steps: int = 1000  # linear
    halve_after_epochs: int = 10  # the rate is halved after so many epochs,
    halve_every_epochs: int = 5  # and again every so many
    mixup: float = 0.5  # share of clips that are mixed with another one
    frequency_mask: float = 0.375  # largest mask: 48 of 128 bins
    time_mask: float = 0.1875  # 192 of 1024 frames
    balanced: bool = True  # draw clips with rare labels more often; otherwise each once an epoch
    clip_gradients: float = 1.0  # largest norm; 0: no limit
    precision: str = "bf16-mixed"
    seed: int = 0
    validate_every_epochs: int = 1
    save_every: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"the precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )
        bins, has = features_of(self.variant).n_mels, self.network(1).input_shape[0]
        if has != bins:
            raise ConfigError(
                f"the spectrograms of {self.variant} have {bins} mel bins: input_shape must begin "
                f"with that, not with {has}"
            )

    def network(self, labels: int) -> ATGNNConfig:
        """The dimensions of the network for so many labels; ConfigError if they are impossible."""
        options = {"labels": labels} | self.network_options
        return variant(self.variant, label_nodes=self.label_nodes, **options)


# By the data set. AudioSet's balanced set is balanced already; its clips last 10 s, and the paper
# pads them to 1,056 frames.
RECIPES = {
    "fsd50k": TaggingConfig(),
    "audioset": TaggingConfig(
        epochs=60,
        halve_after_epochs=35,
        balanced=False,
        network_options={"input_shape": [128, 1056]},
    ),
}


def tagging_recipe(name: str) -> TaggingConfig:
    """The paper's settings for ``fsd50k`` or ``audioset``, or those of a JSON file."""
    return RECIPES[name] if name in RECIPES else load_tagging_config(Path(name))


def load_tagging_config(path: Path) -> TaggingConfig:
    """Settings from a JSON file; missing ones keep their defaults.

    Raises FileNotFoundError if there is no such file, ConfigError if it holds anything else.
    """
    return load_settings(path, lambda values: settings_of(TaggingConfig, values))


def learning_rate_at(step: int, steps_per_epoch: int, config: TaggingConfig) -> float:
    """Linear warm-up, then the full rate, then halved again and again."""
    rate = config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
    beyond = step // steps_per_epoch - config.halve_after_epochs
    halvings = beyond // config.halve_every_epochs + 1 if beyond >= 0 else 0
    return float(rate * 0.5**halvings)
