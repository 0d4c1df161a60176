"""The encoder for sample identification: longer windows, and 32 nodes left to compare.

The input (4.08 s), 256 nodes and k = 5 are of *Refining Music Sample Identification with a
Self-Supervised Graph Neural Network* (ISMIR 2025). The pyramid stays two-dimensional.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from grafprint.models.encoders.grafprint import GraFPrint, GraFPrintConfig
from grafprint.models.features import FeatureConfig

SAMPLE_FEATURES = FeatureConfig(window_frames=128, hop_frames=16)  # 4.08 s every 0.512 s


@dataclass(frozen=True)
class SamplesConfig(GraFPrintConfig):
    """Dimensions of the encoder; the defaults give 10 M parameters."""

    input_shape: tuple[int, int] = (64, 128)
    stem_stride: tuple[int, int] = (4, 8)
    widths: tuple[int, ...] = (48, 96, 192, 384)
    k: int = 5
    hidden_width: int = 2048


class Samples(GraFPrint):
    """Windows ``[n, 3, 64, 128]`` to fingerprints ``[n, 128]``.

    The grids are 16 x 16, 16 x 8, 8 x 8 and 8 x 4: one axis is halved at a time, time first. So
    256, 128, 64 and 32 nodes, and the last ones still tell eight ranges of pitch and four places
    in time apart, which a sample at another pitch or tempo needs.
    """

    config: SamplesConfig

    def __init__(self, config: SamplesConfig | None = None) -> None:
        super().__init__(config or SamplesConfig())

    def stem_convolutions(self, channels: int, first: int) -> tuple[nn.Conv2d, nn.Conv2d]:
        """Both layers are strided, and no kernel is smaller than its stride.

        So every frame and bin is seen, and a shift by one bin (three semitones at 300 Hz) is not
        lost between two nodes.
        """
        half, (down, across) = first // 2, self.config.stem_stride
        one, two = (min(2, down), min(4, across)), (max(1, down // 2), max(1, across // 4))
        return (
            nn.Conv2d(channels, half, (5, 7), stride=one, padding=(2, 3), bias=False),
            nn.Conv2d(half, first, 3, stride=two, padding=1, bias=False),
        )

    def stride(self, stage: int) -> tuple[int, int]:
        """Halve time before the second and fourth stage, frequency before the third."""
        return (1, 2) if stage % 2 else (2, 1)
