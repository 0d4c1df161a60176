"""Inference-only sliding encoder: same outputs, faster."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models import loops
from grafprint.models.encoders.sliding import (
    NearBlock,
    Sliding,
    blocks_of,
    join_blocks,
    out_of_reach,
)
from grafprint.models.fast.fused_layers import Block, Convolution, Dense, to_map, to_rows
from grafprint.models.graph import FFN, KNNGraph


class FastSliding:
    """A trained Sliding encoder for the CPU, in ``dtype`` float32 or bfloat16."""

    def __init__(self, encoder: Sliding, dtype: torch.dtype = torch.float32) -> None:
        """Copy the weights, folded and laid out for oneDNN."""
        self.config, self.dtype, self._channels = encoder.config, dtype, encoder.channels
        self._stem = [Convolution(encoder.stem[i : i + 2], dtype) for i in (0, 3)]
        self._down = [Convolution(down, dtype, "none") for down in encoder.down]  # type: ignore[arg-type]
        self._blocks = [
            _FastNearBlock(cast(NearBlock, block), cast(FFN, ffn), dtype)
            for block, ffn in zip(encoder.blocks, encoder.ffns, strict=True)
        ]
        self._stages = encoder.stages
        self._columns = encoder.columns
        self._column = Dense(*_flat(encoder.column), dtype)
        self._order = Dense(*_flat(encoder.order), dtype)
        head = (encoder.widen, *encoder.head[::2])
        self._head = [Dense.from_linear(layer, dtype) for layer in head]

    def __call__(self, x: Tensor) -> Tensor:
        """As the encoder's forward: ``x [n, 3, F, T]`` to ``[n, m, dim]`` or ``[n, dim]``."""
        with torch.inference_mode():
            x = self._channels(x).to(self.dtype, memory_format=torch.channels_last)
            for convolve in self._stem:
                x = convolve(x)
            before = 0
            rows = to_rows(x)
            for block, stage in zip(self._blocks, self._stages, strict=True):
                if stage != before:
                    x, before = self._down[before](to_map(rows, x.shape)), stage
                    rows = to_rows(x)
                rows = block(rows, x.shape[2] * x.shape[3])[0]
            x = to_map(rows, x.shape)
            mean = F.avg_pool1d(x.float().mean(dim=2), self._columns, stride=1).transpose(1, 2)
            n, m, width = mean.shape
            column = F.gelu(self._column(x.permute(0, 3, 1, 2).reshape(n * x.shape[3], -1)))
            # Concatenate the columns of each window: [n * m, columns * order_width].
            columns = column.view(n, x.shape[3], -1).unfold(1, self._columns, 1).flatten(2)
            widen, hidden, out = self._head
            mean = widen(mean.reshape(n * m, width).to(self.dtype))
            z = mean + self._order(columns.reshape(n * m, -1))
            z = F.normalize(out(F.elu(hidden(z))).float(), dim=-1).view(n, m, -1)
            return z[:, 0] if m == 1 else z


def _flat(layer: nn.Conv1d) -> tuple[Tensor, Tensor]:
    """Weights ``[out, in * columns]`` and bias of a convolution in time, as a linear layer."""
    weight = layer.weight.detach().flatten(1)
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    return weight, bias


class _FastNearBlock(Block):
    """A block whose neighbours are at most ``reach`` columns away."""

    def __init__(self, block: NearBlock, ffn: FFN, dtype: torch.dtype) -> None:
        super().__init__(block, ffn, dtype)
        self._reach, self._height = block.reach, block.height

    def _graph(self, unit: Tensor) -> KNNGraph:
        """As :func:`grafprint.models.encoders.sliding.near`, for unit nodes ``[B, N, C]``."""
        graphs, n, channels = unit.shape
        height, reach = self._height, self._reach
        width = n // height
        size, blocks = blocks_of(width, reach)
        numbers, bias = _candidates(width, height, size, reach)
        own = height * size
        chosen = torch.empty((graphs, blocks, own, self.k), dtype=torch.int64)
        cosines = torch.empty((graphs, blocks, own, self.k))
        for graph in range(graphs):
            nodes = unit[graph].index_select(0, numbers.clamp_min(0).view(-1))
            nodes = nodes.view(blocks, -1, channels)
            products = torch.baddbmm(bias, nodes[:, :own], nodes.transpose(1, 2))
            outputs = chosen[graph].numpy(), cosines[graph].numpy()
            loops.nearest(products.numpy(), 0, self.k, self.dilation, *outputs)
        rows = torch.arange(blocks)[:, None, None]
        neighbours = numbers[rows, chosen]
        distances = (2 - 2 * cosines).clamp_min(0).sqrt()
        return join_blocks(neighbours, distances, (graphs, height, width), size)


@lru_cache(maxsize=64)
def _candidates(width: int, height: int, size: int, reach: int) -> tuple[Tensor, Tensor]:
    """For each block of columns, the indices of its nodes and then of those within their reach.

    Returns ``numbers [blocks, candidates]``, -1 beyond the map's ends, and the bias to add to the
    products ``[blocks, nodes, candidates]``: minus infinity if two cannot be neighbours.
    """
    blocks = -(-width // size)
    wide = size + 2 * reach
    grid = torch.meshgrid(torch.arange(height), torch.arange(wide) - reach, indexing="ij")
    row, column = (t.flatten() for t in grid)
    # The kernel excludes the i-th candidate of the i-th node, so the block's own come first.
    order = torch.argsort(((column < 0) | (column >= size)).int(), stable=True)
    absolute = torch.arange(blocks)[:, None] * size + column
    inside = (absolute >= 0) & (absolute < width)
    numbers = torch.where(inside, row * width + absolute, -1)
    bias = -out_of_reach(width, height, size, reach, torch.device("cpu"))
    return numbers[:, order].contiguous(), bias[:, :, order].contiguous()
