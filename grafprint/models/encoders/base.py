"""The interface of every encoder: windows in, unit-length fingerprints out."""

from __future__ import annotations

from dataclasses import asdict, field, fields
from typing import Any

import torch
from torch import Tensor, nn


def added_field(default: Any) -> Any:
    """A configuration field added after networks had been trained.

    At its default it is left out of a network's description, so that the identity of older
    networks, and of the libraries built with them, does not change.
    """
    return field(default=default, metadata={"later": True})


def options_of(config: Any) -> dict[str, Any]:
    """The options that describe a configuration: all but added fields at their defaults."""
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
    # Whether it maps chunks of any number of windows, ``[n, 3, F, T']``, to ``[n, windows, dim]``.
    reads_chunks: bool = False
    # Of the weights, for :meth:`torch.nn.Module.to`. The graph layers need nodes to be contiguous.
    memory_format: torch.memory_format = torch.channels_last

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` of windows ``x [n, 3, F, T]``."""
        raise NotImplementedError

    def auxiliary_loss(self, a: Tensor, b: Tensor) -> Tensor | None:
        """A term that training adds to the loss of the views ``a, b [N, dim]``, or None.

        It may use parameters that :meth:`forward` does not.
        """
        return None

    def bucket_centres(self) -> Tensor | None:
        """Directions ``[K, dim]`` of the hash buckets that this network has learned, or None."""
        return None
