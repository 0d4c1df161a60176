"""What every encoder promises: windows in, unit-length fingerprints out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Encoder(nn.Module):
    """A network from windows ``[n, 3, F, T]`` to L2-normalised fingerprints ``[n, dim]``."""

    config: Any
    dim: int

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
