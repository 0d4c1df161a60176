"""The registry of encoders: build a network from a name and options.

The name is one of :data:`ENCODERS`, or ``module:Class`` of a network of one's own
(:mod:`grafprint.models.encoders.own`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from torch import nn

from grafprint.errors import ConfigError
from grafprint.models.encoders import own
from grafprint.models.encoders.base import Encoder, options_of
from grafprint.models.encoders.grafprint import GraFPrint, GraFPrintConfig
from grafprint.models.encoders.nafp import NAFP, NAFPConfig
from grafprint.models.encoders.own import OwnEncoder, import_network, register
from grafprint.models.encoders.samples import SAMPLE_FEATURES, Samples, SamplesConfig
from grafprint.models.encoders.sliding import Sliding, SlidingConfig
from grafprint.models.encoders.transformer import (
    FEATURES,
    HashTransformer,
    HashTransformerConfig,
    Transformer,
    TransformerConfig,
)
from grafprint.models.features import FeatureConfig


@dataclass(frozen=True)
class Entry:
    """A registered encoder: its class, its configuration and the features it expects."""

    network: type[Encoder]
    config: type[Any]
    features: FeatureConfig = field(default_factory=FeatureConfig)


ENCODERS = {
    "grafprint": Entry(GraFPrint, GraFPrintConfig),
    "samples": Entry(Samples, SamplesConfig, SAMPLE_FEATURES),
    "sliding": Entry(Sliding, SlidingConfig),
    "nafp": Entry(NAFP, NAFPConfig),
    "transformer": Entry(Transformer, TransformerConfig, FEATURES),
    "hash-transformer": Entry(HashTransformer, HashTransformerConfig, FEATURES),
}


def features_of(name: str) -> FeatureConfig:
    """The features that the encoder ``name`` expects. Raises ConfigError for an unknown name."""
    if is_own(name):
        return own.features_of(_registered(name), name)
    return _entry(name).features


def is_own(name: str) -> bool:
    """Whether a name is that of a network of one's own, ``module:Class``."""
    return ":" in name


def _registered(name: str) -> type[nn.Module]:
    network = own.registered(name)
    if network is None:
        raise ConfigError(
            f"the encoder {name} does not come with the program and is imported only if you name "
            f"it: add --encoder {name} if you trust that code (in Python: "
            "grafprint.models.encoders.register(its class))"
        )
    return network


def _entry(name: str) -> Entry:
    if name not in ENCODERS:
        raise ConfigError(
            f"unknown encoder {name!r}; there are: {', '.join(sorted(ENCODERS))}, "
            "and your own as module:Class"
        )
    return ENCODERS[name]


def build(name: str, options: Mapping[str, Any] | None = None) -> Encoder:
    """Build the encoder ``name`` with randomly initialised weights.

    Raises ConfigError for an unknown name or option, an impossible value, or a network of one's
    own that is not registered.
    """
    if is_own(name):
        return own.build(_registered(name), name, options or {})
    entry = _entry(name)
    options = dict(options or {})
    known = {f.name for f in fields(entry.config)}
    if unknown := set(options) - known:
        raise ConfigError(f"encoder {name!r} has no option {', '.join(sorted(unknown))}")
    # JSON has lists where configurations have tuples.
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    try:
        return entry.network(entry.config(**values))
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        if not options:
            raise
        raise ConfigError(f"encoder {name!r} cannot have these options: {error}") from error


def describe(encoder: Encoder) -> dict[str, Any]:
    """``{"name", "options"}`` of an encoder: what :func:`build` needs to rebuild it."""
    if isinstance(encoder, OwnEncoder):
        return {"name": encoder.name, "options": encoder.options}
    for name, entry in ENCODERS.items():
        if type(encoder) is entry.network:
            return {"name": name, "options": options_of(encoder.config)}
    raise ValueError(f"{type(encoder).__name__} is not in the registry")


__all__ = [
    "ENCODERS",
    "Encoder",
    "GraFPrint",
    "GraFPrintConfig",
    "HashTransformer",
    "OwnEncoder",
    "Samples",
    "SamplesConfig",
    "build",
    "describe",
    "features_of",
    "import_network",
    "is_own",
    "register",
]
