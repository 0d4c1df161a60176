"""Patch nodes: the convolutional stem and the blocks that refine its nodes (PGN, section II-A)."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.graph import (
    GraphBlock,
    KNNGraph,
    downsample,
    knn,
    sine_cosine,
    to_nodes,
    winner_shares,
)


def stem(channels: int, halvings: int) -> nn.Sequential:
    """Spectrograms ``[B, 1, F, T]`` to patch nodes ``[B, C, F / 2^halvings, T / 2^halvings]``.

    Strided convolutions that double the channels up to ``C``, then one without stride.
    """
    # Vision GNN's widths: C / 2 and C with two halvings, C / 8 to C with four.
    widths = [1, *(max(1, channels >> n) for n in reversed(range(halvings)))]
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(widths):
        layers += [*downsample(c_in, c_out), nn.GELU()]
    return nn.Sequential(*layers, *downsample(channels, channels, (1, 1)))


class PatchBlock(GraphBlock):
    """A graph block (Eq. 1 to 3) whose neighbours are chosen among pooled nodes.

    With ``pool`` above 1 the candidates are means over squares of ``pool x pool`` nodes, so that
    the search costs ``pool^2`` times less. Maps may have any size: in small ones there are fewer
    neighbours, or less dilation.
    """

    def __init__(
        self,
        channels: int,
        k: int,
        dilation: int = 1,
        groups: int = 4,
        drop_path: float = 0.0,
        pool: int = 1,
        relative_position: bool = True,
    ) -> None:
        super().__init__(channels, (1, 1), k, dilation, groups, drop_path)
        self.pool, self.near = pool, relative_position

    def forward_with_weights(self, x: Tensor) -> tuple[Tensor, KNNGraph, Tensor]:
        """As :meth:`forward`, with the share of channels that each edge wins, ``[B, N, k]``."""
        y = self.linear_in(x)
        graph = self.graph(y)
        keys = to_nodes(y) if graph.keys is None else graph.keys
        return x + self.residual(y, graph), graph, winner_shares(keys, graph.neighbours)

    def graph(self, y: Tensor) -> KNNGraph:
        """The graph of the nodes of a map ``[B, C, H, W]`` of any size."""
        grid = (y.shape[2], y.shape[3])
        nodes = to_nodes(y)
        keys = None
        if self.pool > 1:
            keys = to_nodes(F.avg_pool2d(y, self.pool, ceil_mode=True))
        elif nodes.shape[1] == 1:
            keys = nodes  # a single node is its own neighbour
        k, dilation = self.neighbourhood(grid)
        bias = position_bias(y.shape[1], grid, self.pool, y.device) if self.near else None
        return knn(nodes, k, dilation, bias, keys=keys)

    def neighbourhood(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Neighbours and dilation in a map of this size: fewer, or less, in a small one."""
        height, width = self.key_grid(grid)
        among = max(1, height * width - (self.pool == 1))
        k = min(self.k, among)
        return k, max(1, min(self.dilation, among // k))

    def key_grid(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the candidates in a map of this size."""
        return -(-grid[0] // self.pool), -(-grid[1] // self.pool)


def position_bias(channels: int, grid: tuple[int, int], pool: int, device: torch.device) -> Tensor:
    """:func:`~grafprint.models.graph.relative_position_bias`, for keys pooled: ``[N, M]``.

    A key's position embedding is the mean over its square, as its features are. The inner product
    of two embeddings is the sum of those of their rows and of their columns, hence no product of
    all pairs of nodes is needed.
    """
    rows, columns = (_position_term(channels, size, pool, device) for size in grid)
    bias = rows[:, None, :, None] + columns[None, :, None, :]
    return bias.reshape(grid[0] * grid[1], -1)


@lru_cache(maxsize=128)  # blocks of a stage share them, and so do clips of a length
def _position_term(channels: int, size: int, pool: int, device: torch.device) -> Tensor:
    """The part of one axis, between each of its nodes and each of its keys."""
    p = sine_cosine(size, channels)
    key = F.avg_pool1d(p.T[None], pool, ceil_mode=True)[0] if pool > 1 else p.T
    return (-2 * p @ key / (2 * p.shape[1])).float().to(device)
