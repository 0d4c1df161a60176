"""What every encoder promises: windows in, unit-length fingerprints out."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Encoder(nn.Module):
    """A network from windows ``[n, 3, 64, 32]`` to L2-normalised fingerprints ``[n, dim]``."""

    config: Any
    dim: int

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` of windows ``x [n, 3, F, T]``."""
        raise NotImplementedError
