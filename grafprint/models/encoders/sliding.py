"""A graph encoder that reads a recording once; the paper's encodes every second on its own.

Consecutive windows share nine tenths of their audio. Here nodes are computed once for a chunk of
many windows. A node's neighbours are searched within half a window on either side. A window's
fingerprint is computed from a moving average of its nodes and from the order of its columns. This
requires that nodes keep the fingerprints' hop in time: only mel bins are halved between stages.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.encoders.base import Encoder
from grafprint.models.graph import (
    FFN,
    GraphBlock,
    KNNGraph,
    begin_near_identity,
    dilation_of,
    downsample,
    initialise,
    knn,
)

_QUIETEST = 0.25  # 60 dB below the loudest moment: quieter audio is not raised to full level


@dataclass(frozen=True)
class SlidingConfig:
    """Dimensions of the encoder; widths, depths and head are GraFPrint's."""

    input_shape: tuple[int, int] = (64, 32)  # mel bins x frames of a window
    hop: int = 3  # frames between windows
    depths: tuple[int, ...] = (2, 2, 6, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    reach: int = 5  # how many columns away a node's neighbours may be
    k: int = 3
    ffn_expansion: int = 4
    groups: int = 4
    order_width: int = 128  # width of each column in the layer that sees their order
    pooled_width: int = 1024
    hidden_width: int = 4096
    dim: int = 128


class Sliding(Encoder):
    """Chunks ``[n, 3, 64, 32 + 3 (m - 1)]`` to fingerprints ``[n, m, 128]`` of their windows.

    Single windows ``[n, 3, 64, 32]`` give ``[n, 128]``. Only the channels amplitude and frequency
    are used: a position in time has no meaning if all windows are read at once. A window has 11
    columns of 16, 8, 4 and 2 nodes in the four stages.
    """

    config: SlidingConfig
    reads_chunks = True

    def __init__(self, config: SlidingConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or SlidingConfig()
        self.dim = c.dim
        first = c.widths[0]
        self.stem = nn.Sequential(
            *downsample(2, first // 2, (2, c.hop)),
            nn.GELU(),
            *downsample(first // 2, first, (2, 1)),
            nn.GELU(),
        )
        self.down = nn.ModuleList(
            downsample(a, b, (2, 1)) for a, b in zip(c.widths[:-1], c.widths[1:], strict=True)
        )
        self.blocks, self.ffns, self.stages = nn.ModuleList(), nn.ModuleList(), []
        halvings = 4 << (len(c.widths) - 1)
        if c.input_shape[0] % halvings:
            raise ValueError(f"{c.input_shape[0]} mel bins are no multiple of {halvings}")
        rows = c.input_shape[0] // 4
        self.columns = 1 + (c.input_shape[1] - 1) // c.hop  # in a window
        for stage, (depth, width) in enumerate(zip(c.depths, c.widths, strict=True)):
            least = (rows >> stage) * (c.reach + 1)  # candidates at either end of a recording
            for _ in range(depth):
                dilation = dilation_of(len(self.blocks), c.k, least)
                grid = (rows >> stage, self.columns)
                self.blocks.append(NearBlock(width, grid, c.k, dilation, c.groups, c.reach))
                self.ffns.append(FFN(width, c.ffn_expansion))
                self.stages.append(stage)
        # The mean over a window's nodes loses when they occur; this layer sees the order of its
        # columns. (The paper's encoder has time as an input channel.)
        self.column = nn.Conv1d((rows >> stage) * c.widths[-1], c.order_width, 1)
        self.order = nn.Conv1d(c.order_width, c.pooled_width, self.columns, bias=False)
        self.widen = nn.Linear(c.widths[-1], c.pooled_width)
        self.head = nn.Sequential(
            nn.Linear(c.pooled_width, c.hidden_width), nn.ELU(), nn.Linear(c.hidden_width, c.dim)
        )
        initialise(self)
        begin_near_identity(self)

    def forward(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, m, dim]``, or ``[n, dim]`` if the chunks ``x`` are single windows.

        Raises ValueError for a chunk that does not end with a whole window.
        """
        x = self.stem(self.channels(x).contiguous(memory_format=torch.channels_last))
        before = 0
        for block, ffn, stage in zip(self.blocks, self.ffns, self.stages, strict=True):
            if stage != before:
                x, before = self.down[before](x), stage
            x = ffn(block(x)[0])
        pooled = F.avg_pool1d(x.mean(dim=2), self.columns, stride=1).transpose(1, 2)
        order = self.order(F.gelu(self.column(x.flatten(1, 2)))).transpose(1, 2)
        z = F.normalize(self.head(self.widen(pooled) + order).float(), dim=-1)
        return z[:, 0] if z.shape[1] == 1 else z

    def channels(self, x: Tensor) -> Tensor:
        """Frequency and levelled amplitude, ``[n, 2, F, T]``. ValueError as for forward."""
        bins, frames = self.config.input_shape
        if x.shape[2] != bins or x.shape[3] < frames or (x.shape[3] - frames) % self.config.hop:
            raise ValueError(f"{x.shape[2]} x {x.shape[3]} are not whole windows")
        return torch.stack([x[:, 1], self._level(x[:, 2])], dim=1)

    def _level(self, amplitude: Tensor) -> Tensor:
        """Scale each frame relative to the loudest bin in a window around it, ``[n, F, T]``."""
        half = (self.config.input_shape[1] - 1) // 2
        peak = F.max_pool1d(amplitude.amax(dim=1), 2 * half + 1, stride=1, padding=half)
        return (amplitude - peak.clamp_min(_QUIETEST)[:, None] + 1).clamp_min(0)


class NearBlock(GraphBlock):
    """A graph block whose neighbours are at most ``reach`` columns away."""

    def __init__(
        self, channels: int, grid: tuple[int, int], k: int, dilation: int, groups: int, reach: int
    ) -> None:
        super().__init__(channels, grid, k, dilation, groups)
        self.reach, self.height = reach, grid[0]

    def graph(self, y: Tensor) -> KNNGraph:
        """The graph of the nodes of a map ``[B, C, H, W]``."""
        return near(y, self.k, self.dilation, self.reach)


def near(y: Tensor, k: int, dilation: int, reach: int) -> KNNGraph:
    """:func:`~grafprint.models.graph.knn` of a map's nodes ``y [B, C, H, W]``, limited in reach.

    Neighbours are at most ``reach`` columns away. A wide map is searched in blocks of
    ``2 * reach`` columns, each among the columns within its reach, so that the work grows
    linearly with the width.
    """
    b, c, h, w = y.shape
    size, blocks = blocks_of(w, reach)
    nodes = F.pad(y.permute(0, 2, 3, 1), (0, 0, reach, blocks * size - w + reach))
    wide = nodes.unfold(2, size + 2 * reach, size)  # [B, H, blocks, C, size + 2 reach]
    candidates = wide.permute(0, 2, 1, 4, 3).reshape(b * blocks, -1, c)
    bias = out_of_reach(w, h, size, reach, y.device).repeat(b, 1, 1)
    own = torch.arange(size, device=y.device) + reach
    own = (torch.arange(h, device=y.device)[:, None] * (size + 2 * reach) + own).flatten()
    graph = knn(candidates, k, dilation, bias, own)
    # From indices among a block's candidates to indices among the map's nodes.
    row, column = graph.neighbours // (size + 2 * reach), graph.neighbours % (size + 2 * reach)
    begin = torch.arange(blocks, device=y.device).repeat(b) * size - reach
    numbers = row * w + column + begin[:, None, None]
    return join_blocks(numbers, graph.distances, (b, h, w), size)


def blocks_of(w: int, reach: int) -> tuple[int, int]:
    """Columns in a block, and number of blocks, for a map of ``w`` columns."""
    size = w if w <= 4 * reach else 2 * reach
    return size, -(-w // size)


def join_blocks(
    neighbours: Tensor, distances: Tensor, shape: tuple[int, int, int], size: int
) -> KNNGraph:
    """Join the graphs of blocks of ``size`` columns to the graph of a map ``shape (B, H, W)``.

    ``neighbours`` and ``distances`` hold ``B * blocks * H * size * k`` numbers, in this order.
    """
    b, h, w = shape
    k = neighbours.shape[-1]
    blocks = -(-w // size)
    neighbours, distances = (
        t.view(b, blocks, h, size, k).transpose(1, 2).reshape(b, h, -1, k)[:, :, :w].flatten(1, 2)
        for t in (neighbours, distances)
    )
    return KNNGraph(neighbours.contiguous(), distances.contiguous())


def out_of_reach(w: int, h: int, size: int, reach: int, device: torch.device) -> Tensor:
    """Infinity where a block's candidate is out of a node's reach: ``[blocks, h * size, all]``."""
    blocks = -(-w // size)
    column = torch.arange(size + 2 * reach, device=device) - reach
    far = (column - torch.arange(size, device=device)[:, None]).abs() > reach
    absolute = torch.arange(blocks, device=device)[:, None] * size + column
    missing = (absolute < 0) | (absolute >= w)
    barred = far | missing[:, None, :]  # [blocks, size, candidates' columns]
    whole = barred[:, None, :, None, :].expand(-1, h, -1, h, -1).reshape(blocks, h * size, -1)
    return torch.zeros(1, device=device).masked_fill(whole, torch.inf)
