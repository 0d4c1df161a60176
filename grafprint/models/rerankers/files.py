"""Save and load re-rankers: weights, the encoder they belong to and facts, in safetensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from grafprint import bundled
from grafprint.errors import CheckpointError
from grafprint.models import checkpoint
from grafprint.models.rerankers.cross_attention import CrossAttention, CrossAttentionConfig

_KIND = "reranker"


@dataclass(frozen=True)
class Reranker:
    """A network, the id of the encoder whose nodes it judges, and facts of its training."""

    network: CrossAttention
    model_id: str
    facts: dict[str, Any]

    def check(self, model_id: str) -> None:
        """Raise CheckpointError unless ``model_id`` is the encoder that this one learned with."""
        if model_id != self.model_id:
            raise CheckpointError(
                f"this re-ranker was trained with another encoder ({self.model_id}, not "
                f"{model_id}): use the two that were made together"
            )


def save_reranker(
    path: Path, network: CrossAttention, model_id: str, facts: dict[str, Any] | None = None
) -> None:
    """Write a re-ranker with fp16 weights, atomically. Raises WriteError if it cannot be written.

    ``model_id`` is the identity of its encoder (:func:`grafprint.models.checkpoint.identity`).
    """
    state = network.state_dict()
    description = {"options": asdict(network.config), "model_id": model_id}
    header = {
        "format": checkpoint.FORMAT,
        "kind": _KIND,
        _KIND: description,
        "facts": facts or {},
        "identity": checkpoint.digest(description, {}, state),
    }
    checkpoint.write(path, checkpoint.halved(state), header)


def reranker_for(model_id: str, path: Path | None = None) -> Reranker | None:
    """The re-ranker in a file, or else the bundled one if it belongs to the encoder ``model_id``.

    Raises as :func:`load_reranker` does.
    """
    if path is not None:
        return load_reranker(path)
    own = bundled.asset(bundled.SAMPLES_RERANKER)
    found = load_reranker(own) if own.is_file() else None
    return found if found and found.model_id == model_id else None


def load_reranker(path: str | Path) -> Reranker:
    """Read a re-ranker; its network is in eval mode and fp32.

    Raises CheckpointError if the file is not a re-ranker or is damaged.
    """
    tensors, header = checkpoint.read(path)
    if header.get("kind") != _KIND:
        raise CheckpointError(f"{path}: holds a {header.get('kind')}, not a re-ranker")
    try:
        description = header[_KIND]
        # Checked before the network is built: a damaged width could fill the memory.
        if header["identity"] != checkpoint.digest(description, {}, tensors):
            raise CheckpointError(f"{path}: the file is damaged: get it again")
        network = CrossAttention(CrossAttentionConfig(**description["options"]))
        network.load_state_dict(tensors)
        return Reranker(network.eval(), str(description["model_id"]), dict(header["facts"]))
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(f"{path}: the weights do not fit: {error}") from error
