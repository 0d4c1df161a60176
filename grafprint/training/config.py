"""Settings of training runs: read from JSON, and the learning rate at each step."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from grafprint.degradation.augmentation import DegradeConfig
from grafprint.degradation.rerecording import RerecordingConfig
from grafprint.errors import ConfigError
from grafprint.training.sample_pairs import SamplePairsConfig

_Settings = TypeVar("_Settings")

# Fabric's precisions that every encoder can be trained in.
PRECISIONS = ("bf16-mixed", "16-mixed", "32-true")
_LEAST = {
    "seed": 0,
    "steps": 1,
    "batch": 2,
    "workers": 0,
    "validate_every": 1,
    "save_every": 1,
    "learning_rate": 0,
    "final_learning_rate": 0,
}

# The encoder that distillation trains. Contrastive training refuses it: it misses too many short
# queries then (docs/performance.md).
DISTILLED = "sliding"

# Half the widths of the default encoder.
_HALF = {"widths": [32, 64, 128, 256], "pooled_width": 512, "hidden_width": 2048}


@dataclass(frozen=True)
class StemsConfig:
    """What of a song is sampled, and under which music; the rest of each share is the other way."""

    mix_share: float = 0.5  # of references that are the song's mix, not the sampled stems alone
    cross_song_share: float = 0.6  # of samples that are laid under another song
    stem_share: float = 0.5  # of songs with stems in a batch; the others are recordings


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
    # More add hard negatives: the same music a moment later. Of songs as stems, places anywhere in
    # the song, which are not negatives of each other: music repeats.
    segments_per_track: int = 1
    gap_s: tuple[float, float] = (0.1, 1.0)  # between neighbouring segments of a track
    memory: int = 0  # fingerprints of earlier batches used as negatives
    average: float = 0.0  # decay of the moving average of the weights; 0: no average
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    stems: StemsConfig = field(default_factory=StemsConfig)  # for sample identification
    samples: SamplePairsConfig = field(default_factory=SamplePairsConfig)
    cutout_probability: float = 0.0  # of a rectangle erased from the degraded view's spectrogram
    band_mask_probability: float = 0.0  # of its bass, its treble or both erased
    precision: str = "bf16-mixed"
    compile: bool = False  # takes minutes at the start, then faster steps; needs a C++ compiler
    seed: int = 0
    validate_every: int = 500
    save_every: int = 200
    workers: int = 0

    def __post_init__(self) -> None:
        if self.encoder == DISTILLED:
            raise ConfigError(
                f"the encoder {DISTILLED} is distilled from another network: use grafprint distill"
            )
        if self.loss not in ("nt-xent", "triplet"):
            raise ConfigError(f"the loss is nt-xent or triplet, not {self.loss!r}")
        if self.loss == "triplet" and self.memory:
            raise ConfigError("a memory of negatives goes with the loss nt-xent only")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"the precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )
        for name, least in _LEAST.items():
            if not least <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(f"temperature must be above 0, not {self.temperature}")

    @property
    def cosine_start(self) -> int:
        """The step from which the learning rate falls: after the warm-up."""
        return self.warmup_steps


@dataclass(frozen=True)
class DistillationConfig:
    """A distillation run; lengths are in windows."""

    steps: int = 4800
    batch: int = 8  # chunks per step
    windows: int = 64  # in a chunk, without its context on both sides
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-5
    warmup_steps: int = 50
    weight_decay: float = 1e-2
    hours: float = 20.0  # of music at most
    seed: int = 0
    save_every: int = 200
    encoder_options: dict[str, Any] = field(default_factory=lambda: dict(_HALF))

    @property
    def cosine_start(self) -> int:
        """The step from which the learning rate falls: the first, also during the warm-up."""
        return 0


def load_config(path: Path) -> TrainConfig:
    """Training settings from a JSON file; missing ones keep their defaults.

    Raises FileNotFoundError if there is no such file, ConfigError if it holds anything else.
    """
    return load_settings(path, config_of)


def load_distillation_config(path: Path) -> DistillationConfig:
    """Distillation settings from a JSON file; raises as :func:`load_config` does."""
    return load_settings(path, lambda values: settings_of(DistillationConfig, values))


def save_config(path: Path, config: Any) -> None:
    """Write settings, a dataclass, as JSON."""
    path.write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def config_of(values: Mapping[str, Any]) -> TrainConfig:
    """Training settings from parsed JSON; ConfigError for unknown names."""
    values = dict(values)
    stems = settings_of(StemsConfig, values.pop("stems", {}))
    samples = settings_of(SamplePairsConfig, values.pop("samples", {}))
    chain = dict(values.pop("degrade", {}))
    rerecording = settings_of(RerecordingConfig, chain.pop("rerecording", {}))
    degrade = replace(settings_of(DegradeConfig, chain), rerecording=rerecording)
    config = settings_of(TrainConfig, values)
    return replace(config, degrade=degrade, stems=stems, samples=samples)


def load_settings(path: Path, parse: Callable[[Mapping[str, Any]], _Settings]) -> _Settings:
    """What ``parse`` makes of a JSON file; raises as :func:`load_config` does."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of settings")
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: not the settings of a training run: {error}") from error


def settings_of(kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    """Settings of a kind from parsed JSON; ConfigError for unknown names."""
    known = {f.name for f in fields(cast(Any, kind))}
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"there is no setting {', '.join(unknown)}")
    # JSON has lists where the settings have tuples.
    settings: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    return kind(**settings)


class Scheduled(Protocol):
    """What the learning rate depends on."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def final_learning_rate(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def cosine_start(self) -> int: ...


def learning_rate_at(step: int, config: Scheduled) -> float:
    """Linear warm-up times a cosine from ``learning_rate`` to ``final_learning_rate``.

    The cosine starts at ``config.cosine_start``, with or after the warm-up.
    """
    start = config.cosine_start
    share = min(1.0, max(0, step - start) / max(1, config.steps - start))
    span = config.learning_rate - config.final_learning_rate
    rate = config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * share))
    return rate * min(1.0, (step + 1) / max(1, config.warmup_steps))
