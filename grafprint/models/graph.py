"""Graph layers shared by all models: k-NN graph, max-relative convolution, graph block, FFN.

Nodes are the points of a feature map ``[B, C, H, W]`` (channels-last in memory, so that the view
as nodes ``[B, N, C]`` is free); node ``n`` is the point ``(n // W, n % W)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _gpu_kernels() -> ModuleType | None:
    if not torch.cuda.is_available():
        return None
    try:
        from grafprint.models import triton_kernels
    except ImportError:  # a build of PyTorch without Triton
        return None
    return triton_kernels


_KERNELS = _gpu_kernels()
MOST_FUSED = 1024  # nodes in the largest graph whose products fit a GPU's registers


@dataclass(frozen=True)
class KNNGraph:
    """Directed k-nearest-neighbour graphs of a batch: each node has an edge to its neighbours.

    ``neighbours [B, N, k]`` are node numbers, nearest first and never the node itself;
    ``distances [B, N, k]`` are Euclidean distances between L2-normalised node features (0..2),
    plus the relative-position term if one is used. If the edges lead to other nodes than the
    graph's own, these are the ``keys [B, M, C]``.
    """

    neighbours: Tensor
    distances: Tensor
    keys: Tensor | None = None


@dataclass(frozen=True)
class BlockGraph:
    """The graph that one block used in a forward pass, and its nodes' places on the spectrogram.

    ``positions [N, 2]`` holds the centre (mel bin, frame) of each node, in units of the input.
    ``features [B, N, C]`` are the nodes after the block and its FFN. ``change [B, N]`` is how far
    these moved each node: the length of the update over the length of the node before.
    """

    stage: int
    block: int
    grid: tuple[int, int]
    dilation: int
    graph: KNNGraph
    positions: Tensor
    features: Tensor
    change: Tensor


def to_nodes(x: Tensor) -> Tensor:
    """Feature map ``[B, C, H, W]`` to nodes ``[B, H * W, C]``."""
    return x.flatten(2).transpose(1, 2)


@torch.no_grad()
def knn(
    nodes: Tensor,
    k: int,
    dilation: int = 1,
    bias: Tensor | None = None,
    own: Tensor | None = None,
    keys: Tensor | None = None,
) -> KNNGraph:
    """k nearest neighbours of every node among the nodes of its own graph, or among ``keys``.

    Args:
        nodes: features ``[B, N, C]``; compared after L2 normalisation, in fp32.
        k: neighbours per node, without the node itself.
        dilation: take every ``dilation``-th of the ``k * dilation`` nearest, which widens the
            reach without more edges (Li et al., 2019).
        bias: ``[N, N]`` or ``[B, N, N]`` added to the squared distances (relative position;
            infinite if two cannot be neighbours), or None.
        own: indices ``[M]`` of the nodes to find neighbours for; the bias then has ``M`` rows.
            None finds them for all nodes.
        keys: ``[B, M, C]``, other nodes to find the neighbours among; the bias then has ``M``
            columns, and neighbours are numbers of keys. None: the nodes themselves.

    Raises:
        ValueError: if there are fewer than ``k * dilation`` nodes to choose among.
    """
    n = nodes.shape[1]
    among = n - 1 if keys is None else keys.shape[1]
    if k * dilation > among:
        have = n if keys is None else among
        raise ValueError(f"{k} neighbours at dilation {dilation} need more than {have} nodes")
    plain = bias is None and own is None and keys is None
    if nodes.is_cuda and _KERNELS and plain and n <= MOST_FUSED:
        neighbours, cosines = _KERNELS.nearest(nodes.contiguous(), k, dilation)
        return KNNGraph(neighbours, (2 - 2 * cosines).clamp_min(0).sqrt())
    with torch.autocast(nodes.device.type, enabled=False):
        unit = F.normalize(nodes.float(), dim=-1)
        # |a - b|^2 = 2 - 2<a, b> for unit vectors, so the nearest have the largest product.
        queries = unit if own is None else unit[:, own]
        others = unit if keys is None else F.normalize(keys.float(), dim=-1)
        closeness = torch.bmm(queries, others.transpose(1, 2))
    if bias is not None:
        closeness -= bias / 2
    if keys is None and own is None:
        closeness.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
    elif keys is None and own is not None:
        closeness[:, torch.arange(len(own), device=own.device), own] = -torch.inf
    if plain and _has_loops(nodes):
        from grafprint.models import cpu_kernels

        neighbours, cosines = cpu_kernels.nearest(closeness, k, dilation)
        return KNNGraph(neighbours, (2 - 2 * cosines).clamp_min(0).sqrt())
    best = closeness.topk(k * dilation, dim=-1)
    squared = (2 - 2 * best.values[..., ::dilation]).clamp_min(0)
    return KNNGraph(best.indices[..., ::dilation], squared.sqrt(), keys)


def max_relative(nodes: Tensor, neighbours: Tensor, keys: Tensor | None = None) -> Tensor:
    """Eq. 2's second half: ``max_j (x_j - x_i)`` over the neighbours, ``[B, N, C]``.

    The neighbours are nodes, or ``keys [B, M, C]`` if these are given. ``x_i`` does not depend on
    ``j``, so ``max_j(x_j) - x_i`` is the same and saves k - 1 subtractions and their memory.
    """
    if nodes.is_cuda and _KERNELS and keys is None:
        maxima: Tensor = _KERNELS.neighbour_maxima(nodes.contiguous(), neighbours)
        return maxima - nodes
    if nodes.requires_grad and keys is None and _has_loops(nodes):
        from grafprint.models import cpu_kernels

        return cpu_kernels.neighbour_maxima(nodes, neighbours) - nodes
    gathered = _gather(nodes if keys is None else keys, neighbours)
    # amax is much faster in the forward pass, max in the backward pass (one winner per channel).
    best = gathered.max(dim=2).values if gathered.requires_grad else gathered.amax(dim=2)
    return best - nodes


def _has_loops(nodes: Tensor) -> bool:
    """Whether compiled loops can take the place of PyTorch's operations."""
    return nodes.device.type == "cpu" and not torch.compiler.is_compiling()


def _gather(keys: Tensor, neighbours: Tensor) -> Tensor:
    """Features ``[B, N, k, C]`` of the neighbours."""
    b, m, c = keys.shape
    first = torch.arange(b, device=keys.device).view(b, 1, 1) * m
    rows = (neighbours + first).reshape(-1)
    return keys.reshape(b * m, c).index_select(0, rows).view(b, neighbours.shape[1], -1, c)


@torch.no_grad()
def winner_shares(keys: Tensor, neighbours: Tensor) -> Tensor:
    """The share of channels in which each neighbour has the maximum: ``[B, N, k]``, sums of 1.

    Only these neighbours have a part in the node's update. Equal maxima share their channel.
    """
    gathered = _gather(keys, neighbours)
    won = (gathered == gathered.amax(dim=2, keepdim=True)).float()
    return (won / won.sum(dim=2, keepdim=True)).mean(dim=-1)


class MaxRelativeConv(nn.Module):
    """Max-relative graph convolution, Eq. 2 and 3: ``[x_i, max_j(x_j - x_i)] W_update``.

    ``[B, C, H, W] -> [B, 2C, H, W]``, or as many channels as ``c_out`` says. The two halves are
    interleaved channel by channel, so each of the ``groups`` of the 1 x 1 convolution sees both
    halves of its channels.
    """

    def __init__(self, channels: int, groups: int = 4, c_out: int | None = None) -> None:
        super().__init__()
        c_out = c_out or 2 * channels
        self.update = nn.Sequential(
            nn.Conv2d(2 * channels, c_out, 1, groups=groups, bias=False), nn.BatchNorm2d(c_out)
        )

    def forward(self, x: Tensor, neighbours: Tensor, keys: Tensor | None = None) -> Tensor:
        """Update the map ``x`` with the messages of ``neighbours [B, N, k]``."""
        b, c, h, w = x.shape
        nodes = to_nodes(x)
        both = torch.stack([nodes, self.messages(nodes, neighbours, keys)], dim=-1)
        both = both.reshape(b, h * w, 2 * c)
        if x.is_cuda:
            # As one product with a block-diagonal matrix: cuDNN's grouped convolutions are far
            # slower than multiplying by its zeros.
            groups = cast(nn.Conv2d, self.update[0]).weight.flatten(1)
            whole = torch.block_diag(*groups.chunk(cast(nn.Conv2d, self.update[0]).groups))
            return cast(Tensor, self.update[1](to_map(F.linear(both, whole), h, w)))
        return cast(Tensor, self.update(to_map(both, h, w)))

    def messages(self, nodes: Tensor, neighbours: Tensor, keys: Tensor | None) -> Tensor:
        """What each node is told by its neighbours, ``[B, N, C]``."""
        return max_relative(nodes, neighbours, keys)


def to_map(nodes: Tensor, height: int, width: int) -> Tensor:
    """Nodes ``[B, H * W, C]`` to a map ``[B, C, H, W]``; undoes :func:`to_nodes`."""
    # The channels-last layout of [B, C, H, W] is exactly [B, N, C] in memory.
    return nodes.view(nodes.shape[0], height, width, nodes.shape[2]).permute(0, 3, 1, 2)


class DropPath(nn.Module):
    """Stochastic depth: drop a residual branch for whole samples, in training only."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Zero each sample of ``x [B, ...]`` with the given probability and rescale the rest."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * x.new_empty(shape).bernoulli_(keep).div_(keep)


def pointwise(c_in: int, c_out: int) -> nn.Sequential:
    """A layer applied to each node separately: 1 x 1 convolution and batch normalisation."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))


class GraphBlock(nn.Module):
    """Eq. 4: ``y = W_out sigma(GraphConv(W_in x)) + x``, on the k-NN graph of ``W_in x``."""

    position_bias: Tensor | None

    def __init__(
        self,
        channels: int,
        grid: tuple[int, int],
        k: int,
        dilation: int = 1,
        groups: int = 4,
        drop_path: float = 0.0,
        relative_position: bool = False,
    ) -> None:
        super().__init__()
        self.k, self.dilation = k, dilation
        self.linear_in = pointwise(channels, channels)
        self.conv = MaxRelativeConv(channels, groups)
        self.linear_out = pointwise(2 * channels, channels)
        self.drop_path = DropPath(drop_path)
        bias = relative_position_bias(channels, grid) if relative_position else None
        self.register_buffer("position_bias", bias, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, KNNGraph]:
        """Return the updated map ``[B, C, H, W]`` and the graph it was updated on."""
        y = self.linear_in(x)
        graph = self.graph(y)
        return x + self.residual(y, graph), graph

    def graph(self, y: Tensor) -> KNNGraph:
        """The graph of the nodes of a map ``[B, C, H, W]``."""
        return knn(to_nodes(y), self.k, self.dilation, self.position_bias)

    def residual(self, y: Tensor, graph: KNNGraph) -> Tensor:
        """What the block adds to its input, from ``y = W_in x`` and its graph."""
        y = self.linear_out(F.gelu(self.conv(y, graph.neighbours, graph.keys)))
        return cast(Tensor, self.drop_path(y))


class FFN(nn.Module):
    """Two 1 x 1 layers with a residual, applied to each node separately: ``C -> 4C -> C``."""

    def __init__(self, channels: int, expansion: int = 4, drop_path: float = 0.0) -> None:
        super().__init__()
        self.linear_in = pointwise(channels, expansion * channels)
        self.linear_out = pointwise(expansion * channels, channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Update ``x [B, C, H, W]``."""
        return x + cast(Tensor, self.drop_path(self.linear_out(F.gelu(self.linear_in(x)))))


def relative_position_bias(channels: int, grid: tuple[int, int]) -> Tensor:
    """``-2 P P^T / D`` over a grid's nodes ``[N, N]``, added to squared distances (Vision GNN).

    ``P [N, D]`` are fixed 2-D sine-cosine position embeddings: half of the dimensions for the
    row, half for the column. Close nodes get a lower (more negative) term, so they seem closer.
    """
    height, width = grid
    rows = sine_cosine(height, channels)[:, None, :].expand(height, width, -1)
    columns = sine_cosine(width, channels)[None, :, :].expand(height, width, -1)
    p = torch.cat([rows, columns], dim=-1).reshape(height * width, -1)
    return (-2 * p @ p.T / p.shape[1]).float()


def sine_cosine(size: int, channels: int) -> Tensor:
    """One axis of the position embeddings of a map with ``channels``: ``[size, channels / 2]``."""
    quarter = channels // 4
    omega = 10_000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(size, dtype=torch.float64)[:, None] * omega
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """``|after - before| / |before|`` for every node of two maps ``[B, C, H, W]``: ``[B, N]``."""
    before, after = to_nodes(before).float(), to_nodes(after).float()
    return (after - before).norm(dim=-1) / before.norm(dim=-1).clamp_min(1e-12)


def node_positions(grid: tuple[int, int], shape: tuple[int, int]) -> Tensor:
    """Centres of a grid's nodes on an input of ``shape`` (mel bins, frames): ``[N, 2]``."""
    centres = [
        (torch.arange(n) + 0.5) * (size / n) - 0.5 for n, size in zip(grid, shape, strict=True)
    ]
    return torch.cartesian_prod(*centres)


def dilation_of(block: int, k: int, nodes: int) -> int:
    """Dilation of block number ``block`` (0-based): grows by one every four blocks.

    It is limited so that ``k * dilation`` neighbours exist. The rule is Vision GNN's; in the
    published GraFPrint code the dilation never grows.
    """
    return max(1, min(block // 4 + 1, (nodes - 1) // k))


def downsample(c_in: int, c_out: int, stride: tuple[int, int] = (2, 2)) -> nn.Sequential:
    """Strided 2-D convolution; by default it halves both axes of the node grid (section II-B)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(c_out)
    )


def batch_to_group_norm(module: nn.Module, groups: int) -> None:
    """Replace every batch normalisation below ``module`` by a group normalisation.

    Its statistics are those of each sample alone, in training and in inference.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(groups, child.num_features))
        else:
            batch_to_group_norm(child, groups)


def initialise(module: nn.Module) -> None:
    """Apply He initialisation to convolutions and linear layers, and set biases to zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def begin_near_identity(module: nn.Module) -> None:
    """Make residual branches small, so that a deep stack starts close to the identity."""
    for name, scale in module.named_parameters():
        if name.endswith("linear_out.1.weight"):
            nn.init.constant_(scale, 0.2)
