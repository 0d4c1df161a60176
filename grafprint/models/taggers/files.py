"""Save and load taggers: weights, labels, features and facts in one safetensors file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grafprint.errors import CheckpointError
from grafprint.models import checkpoint
from grafprint.models.features import FeatureConfig
from grafprint.models.taggers.atgnn import ATGNN
from grafprint.models.taggers.config import config_of

_KIND = "tagger"


@dataclass(frozen=True)
class Tagger:
    """A network, the names of its labels in order, its features, and facts of its training."""

    network: ATGNN
    labels: tuple[str, ...]
    features: FeatureConfig
    facts: dict[str, Any]


def save_tagger(
    path: Path,
    network: ATGNN,
    labels: Sequence[str],
    features: FeatureConfig,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write a tagger for inference, with fp16 weights, atomically.

    Raises WriteError if it cannot be written, ValueError if the labels are not as many as the
    network's.
    """
    if len(labels) != network.config.labels:
        raise ValueError(f"{len(labels)} names for {network.config.labels} labels")
    state = network.state_dict()
    description = {"options": network.config.options(), "labels": list(labels)}
    header = {
        "format": checkpoint.FORMAT,
        "kind": _KIND,
        _KIND: description,
        "features": asdict(features),
        "facts": facts or {},
        "identity": checkpoint.digest(description, asdict(features), state),
    }
    checkpoint.write(path, checkpoint.halved(state), header)


def load_tagger(path: str | Path) -> Tagger:
    """Read a tagger; its network is in eval mode and fp32.

    Raises CheckpointError if the file is not a tagger or is damaged.
    """
    tensors, header = checkpoint.read(path)
    if header.get("kind") != _KIND:
        raise CheckpointError(f"{path}: holds a {header.get('kind')}, not a tagger")
    try:
        description, features = header[_KIND], header["features"]
        # Checked before the network is built: a damaged width could fill the memory.
        if header["identity"] != checkpoint.digest(description, features, tensors):
            raise CheckpointError(f"{path}: the file is damaged: get it again")
        network = ATGNN(config_of(description["options"]))
        network.load_state_dict(tensors)
        labels, facts = tuple(description["labels"]), dict(header["facts"])
        return Tagger(network.eval(), labels, FeatureConfig(**features), facts)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the weights do not fit: {error}") from error
