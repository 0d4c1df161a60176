"""The NAFP encoder (Chang 2021): a CNN of separable convolutions, a divide-and-encode head."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.encoders.base import Encoder


@dataclass(frozen=True)
class NAFPConfig:
    """Dimensions of the encoder; widths and head are those of the paper's section 2.3."""

    input_shape: tuple[int, int] = (64, 32)  # mel bins x frames
    widths: tuple[int, ...] = (128, 128, 256, 256, 512, 512, 1024, 1024)
    slice_width: int = 32  # hidden units in each slice of the head
    dim: int = 128


class Halving(nn.Conv2d):
    """A convolution with three taps and stride two along one axis: length n becomes ceil(n/2).

    If that is one, the taps that would see only padding are left out. The result is the same, in
    less time; and with padding, oneDNN's bfloat16 convolutions of such narrow maps were
    occasionally NaN on CPUs with AMX (PyTorch 2.14).
    """

    def __init__(self, before: int, after: int, axis: int) -> None:
        """``axis`` 2 for mel bins, 3 for frames."""
        kernel, stride, padding = (
            ((3, 1), (2, 1), (1, 0)) if axis == 2 else ((1, 3), (1, 2), (0, 1))
        )
        super().__init__(before, after, kernel, stride, padding)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """``[n, before, F, T]`` to ``[n, after, F, T]`` with the axis halved."""
        length = x.shape[self.axis]
        if length > 2:
            return super().forward(x)
        return F.conv2d(x, self.weight.narrow(self.axis, 1, length), self.bias)


class NAFP(Encoder):
    """Windows ``[n, 3, 64, 32]`` to fingerprints ``[n, 128]``; only the amplitudes are used.

    Each block halves the frames with a 1 x 3 convolution, then the mel bins with a 3 x 1 one, each
    followed by a layer normalisation over channels, bins and frames and a ReLU. An axis of length
    one stays so, which lets 64 mel bins pass the eight blocks that the paper designed for 256.
    """

    config: NAFPConfig

    def __init__(self, config: NAFPConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or NAFPConfig()
        self.dim = c.dim
        if c.widths[-1] % c.dim:
            raise ValueError(f"the last width must be a multiple of {c.dim}, not {c.widths[-1]}")
        bins, frames = c.input_shape
        layers: list[nn.Module] = []
        for before, after in zip((1, *c.widths[:-1]), c.widths, strict=True):
            frames = (frames + 1) // 2
            layers += [
                Halving(before, after, axis=3),
                nn.LayerNorm([after, bins, frames]),
                nn.ReLU(),
            ]
            bins = (bins + 1) // 2
            layers += [
                Halving(after, after, axis=2),
                nn.LayerNorm([after, bins, frames]),
                nn.ReLU(),
            ]
        if (bins, frames) != (1, 1):
            raise ValueError(f"{len(c.widths)} blocks leave {bins} x {frames} of the input, not 1")
        self.blocks = nn.Sequential(*layers)
        # Divide and encode: each dimension of the fingerprint sees its own slice of features.
        self.head = nn.Sequential(
            nn.Conv1d(c.widths[-1], c.dim * c.slice_width, 1, groups=c.dim),
            nn.ELU(),
            nn.Conv1d(c.dim * c.slice_width, c.dim, 1, groups=c.dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]``, L2-normalised, of windows ``x [n, 3, F, T]``."""
        features = self.blocks(x[:, 2:].contiguous()).flatten(2)
        return F.normalize(self.head(features).flatten(1).float(), dim=-1)
