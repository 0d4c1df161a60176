"""What every encoder promises: windows in, unit-length fingerprints out."""

from __future__ import annotations

from dataclasses import asdict, field, fields
from typing import Any

from torch import Tensor, nn


def added_field(default: Any) -> Any:
    """A field of a configuration that came after networks had been trained.

    At its default it is left out of a network's description, so that those networks, and the
    libraries made with them, stay what they were.
    """
    return field(default=default, metadata={"later": True})


def options_of(config: Any) -> dict[str, Any]:
    """The options that describe a configuration: all but later ones at their defaults."""
    unused = {
        f.name
        for f in fields(config)
        if f.metadata.get("later") and getattr(config, f.name) == f.default
    }
    return {name: value for name, value in asdict(config).items() if name not in unused}


class Encoder(nn.Module):
    """A network from windows ``[n, 3, F, T]`` to L2-normalised fingerprints ``[n, dim]``."""

    config: Any
    dim: int
    # More than 1: it takes stretches of any number of windows, ``[n, 3, F, T']`` to
    # ``[n, windows, dim]``, and is trained with so many.
    stretch: int = 1

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` of windows ``x [n, 3, F, T]``."""
        raise NotImplementedError

    def auxiliary_loss(self, a: Tensor, b: Tensor) -> Tensor | None:
        """What training adds to the contrastive loss of the views ``a, b [N, dim]``, if anything.

        May use parameters that :meth:`forward` does not.
        """
        return None

    def bucket_centres(self) -> Tensor | None:
        """Directions ``[K, dim]`` of the hash buckets this network has learned, if it has."""
        return None
