"""Random numbers for a re-recording, and what is always drawn, also for chosen settings."""

from __future__ import annotations

import torch
from torch import Tensor

_RESONANCES = 4


class Draw:
    """Random tensors ``[rows, columns]`` on a device.

    ``generator`` is a CPU generator, so that a seed means the same on every device.
    """

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def uniform(self, rows: int, low: float, high: float, columns: int = 1) -> Tensor:
        """Uniform between two values."""
        drawn = torch.rand(rows, columns, generator=self.generator).to(self.device)
        return low + (high - low) * drawn

    def log_uniform(self, rows: int, low: float, high: float, columns: int = 1) -> Tensor:
        """Uniform on a logarithmic scale between two values above 0."""
        return low * (high / low) ** self.uniform(rows, 0.0, 1.0, columns)

    def normal(self, rows: int, columns: int) -> Tensor:
        """Normal with a standard deviation of 1."""
        return torch.randn(rows, columns, generator=self.generator).to(self.device)

    def mask(self, rows: int, probability: float) -> Tensor:
        """``[rows, 1]``: 1 with the probability, else 0."""
        return (self.uniform(rows, 0.0, 1.0) < probability).float()

    def rows(self, rows: int, probability: float) -> Tensor:
        """The numbers of the rows that are chosen with the probability."""
        return self.mask(rows, probability)[:, 0].nonzero()[:, 0]


def resonances(rows: int, height_db: float, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Centres in Hz, heights of up to ``height_db`` up or down, and widths in octaves."""
    return (
        draw.log_uniform(rows, 100.0, 8000.0, _RESONANCES),
        height_db * draw.uniform(rows, -1.0, 1.0, _RESONANCES),
        draw.log_uniform(rows, 0.05, 0.5, _RESONANCES),
    )


def wander(rows: int, deviation_db: float, draw: Draw) -> Tensor:
    """How a microphone's response wanders from octave to octave, in dB."""
    return deviation_db * draw.normal(rows, 13)


def bias(rows: int, draw: Draw) -> Tensor:
    """By how much a loudspeaker distorts the two half-waves differently."""
    return draw.uniform(rows, -0.3, 0.3)


def hiss(rows: int, bins: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """The exponent of hiss, between white noise and that of traffic, and its ``bins``."""
    return draw.uniform(rows, 0.0, 1.5), draw.normal(rows, bins)
