"""The GraFPrint encoder: a 2-D pyramid of graph blocks (section II-B of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.encoders.base import Encoder, added_field
from grafprint.models.graph import (
    FFN,
    BlockGraph,
    GraphBlock,
    batch_to_group_norm,
    begin_near_identity,
    dilation_of,
    downsample,
    initialise,
    node_positions,
    relative_change,
    to_nodes,
)

_MEAN_CHANNEL_GAIN = 16.0  # makes its spread like that of the other channels


@dataclass(frozen=True)
class GraFPrintConfig:
    """Dimensions of the encoder; the defaults give the paper's 18 M parameters."""

    in_channels: int = 3
    input_shape: tuple[int, int] = (64, 32)  # mel bins x frames, Table I
    # (2, 1) gives twice the nodes: 1024, 256, 64, 16.
    stem_stride: tuple[int, int] = added_field((2, 2))
    depths: tuple[int, ...] = (2, 2, 6, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    k: int = 3  # neighbours per node, without the node itself
    ffn_expansion: int = 4
    groups: int = 4  # groups of channels in the graph convolution's update
    dilation: bool = True
    drop_path: float = 0.0  # rate of the last block; rises linearly from 0 at the first
    relative_position: bool = False
    norm_groups: int = added_field(0)  # group normalisation; 0 for batch normalisation
    mean_channel: bool = added_field(False)  # see add_mean_channel
    bypass: bool = added_field(False)  # without the graph blocks: what they are worth
    pooled_width: int = 1024
    hidden_width: int = 4096
    dim: int = 128  # Table I


def add_mean_channel(x: Tensor) -> Tensor:
    """Append the amplitude less its bin's mean over the window: ``[n, 3, F, T]`` to four channels.

    The amplitude is logarithmic, so what loudspeaker and microphone do to the spectrum cancels in
    it (mean normalisation, as in speech recognition).
    """
    amplitude = x[:, -1:]
    centred = amplitude - amplitude.mean(dim=3, keepdim=True)
    return torch.cat([x, _MEAN_CHANNEL_GAIN * centred], dim=1)


class GraFPrint(Encoder):
    """Windows ``[n, 3, 64, 32]`` to fingerprints ``[n, 128]``.

    A convolutional stem with one strided layer leaves 32 x 16 = 512 nodes. Each of the four stages
    refines its nodes with graph blocks and FFNs; a strided 2-D convolution between stages halves
    both axes (512, 128, 32, 8 nodes). The mean over nodes is projected to ``dim``.
    """

    config: GraFPrintConfig

    def __init__(self, config: GraFPrintConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or GraFPrintConfig()
        self.dim = c.dim
        first = c.widths[0]
        channels = c.in_channels + c.mean_channel
        one, two = self.stem_convolutions(channels, first)
        self.stem = nn.Sequential(
            one,
            nn.BatchNorm2d(first // 2),
            nn.GELU(),
            two,
            nn.BatchNorm2d(first),
            nn.GELU(),
        )
        # The paper's f(.): a 1 x 1 convolution, batch normalisation, a non-linearity.
        self.project = nn.Sequential(
            nn.Conv2d(first, first, 1, bias=False), nn.BatchNorm2d(first), nn.GELU()
        )
        self.down = nn.ModuleList(
            downsample(a, b, self.stride(stage))
            for stage, (a, b) in enumerate(zip(c.widths[:-1], c.widths[1:], strict=True), 1)
        )
        self.stages = nn.ModuleList()
        self.ffns = nn.ModuleList()
        total, number = sum(c.depths), 0
        for stage, (depth, width) in enumerate(zip(c.depths, c.widths, strict=True)):
            grid = self.grid(stage)
            blocks, ffns = nn.ModuleList(), nn.ModuleList()
            for _ in range(depth):
                rate = c.drop_path * number / max(1, total - 1)
                dilation = dilation_of(number, c.k, grid[0] * grid[1]) if c.dilation else 1
                blocks.append(
                    GraphBlock(width, grid, c.k, dilation, c.groups, rate, c.relative_position)
                )
                ffns.append(FFN(width, c.ffn_expansion, rate))
                number += 1
            self.stages.append(blocks)
            self.ffns.append(ffns)
        # It is affine and commutes with the mean over nodes: pooling first is exact and cheaper.
        self.widen = nn.Linear(c.widths[-1], c.pooled_width)
        self.head = nn.Sequential(
            nn.Linear(c.pooled_width, c.hidden_width), nn.ELU(), nn.Linear(c.hidden_width, c.dim)
        )
        if c.norm_groups:
            batch_to_group_norm(self, c.norm_groups)
        initialise(self)
        begin_near_identity(self)

    def stem_convolutions(self, channels: int, first: int) -> tuple[nn.Conv2d, nn.Conv2d]:
        """The stem's two layers, to ``first`` channels; together they have the stem's stride."""
        half, stride = first // 2, self.config.stem_stride
        return (
            nn.Conv2d(channels, half, 3, stride=stride, padding=1, bias=False),
            nn.Conv2d(half, first, 3, padding=1, bias=False),
        )

    def stride(self, stage: int) -> tuple[int, int]:
        """By how much the grid of a stage (1 or more) is smaller than the one before."""
        return 2, 2

    def grid(self, stage: int) -> tuple[int, int]:
        """Rows and columns of the node grid of a stage (0-based)."""
        (height, width), (down, across) = self.config.input_shape, self.config.stem_stride
        height, width = height // down, width // across
        for number in range(1, stage + 1):
            down, across = self.stride(number)
            height, width = height // down, width // across
        return height, width

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]``, L2-normalised, of windows ``x [n, 3, F, T]``."""
        return self._run(x, None)

    def nodes(self, x: Tensor) -> Tensor:
        """The nodes ``[n, N, C]`` of the last stage, before they are pooled and projected."""
        return to_nodes(self._map(x, None))

    def fingerprints_of(self, nodes: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` of the :meth:`nodes` ``[n, N, C]``."""
        return F.normalize(self.head(self.widen(nodes.mean(dim=1))).float(), dim=-1)

    def forward_with_graphs(self, x: Tensor) -> tuple[Tensor, list[BlockGraph]]:
        """Fingerprints, and the graph that each block used to compute them."""
        graphs: list[BlockGraph] = []
        return self._run(x, graphs), graphs

    def _run(self, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        z = self.head(self.widen(self._map(x, graphs).mean(dim=(2, 3))))
        return F.normalize(z.float(), dim=-1)

    def _map(self, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        if self.config.mean_channel:
            x = add_mean_channel(x)
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.project(self.stem(x))
        for stage, (blocks, ffns) in enumerate(zip(self.stages, self.ffns, strict=True)):
            if stage:
                x = self.down[stage - 1](x)
            for number, (block, ffn) in enumerate(zip(blocks, ffns, strict=True)):  # type: ignore[call-overload]
                y, graph = block(x)
                y = ffn(x if self.config.bypass else y)
                if graphs is not None:
                    grid = self.grid(stage)
                    positions = node_positions(grid, self.config.input_shape)
                    graphs.append(
                        BlockGraph(
                            stage,
                            number,
                            grid,
                            block.dilation,
                            graph,
                            positions,
                            to_nodes(y).float(),
                            relative_change(x, y),
                        )
                    )
                x = y
        return x
