"""The GraFPrint encoder where nothing is trained: the same function, faster (benchmarks.encoding).

Batch normalisations are folded into the weights before them, the weights are laid out for oneDNN
once, activations and residual sums are part of the products, neighbours are found and gathered by
compiled loops, and every thread works on its own segments, in portions that fit its cache.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint import kernels
from grafprint.encoders.grafprint import GraFPrint
from grafprint.graph import (
    FFN,
    BlockGraph,
    GraphBlock,
    KNNGraph,
    node_positions,
    relative_change,
)

# Segments at once in the first two stages, where a segment has many nodes: more would not fit the
# second-level cache. In the last two there are few nodes and large weights: all at once.
_PORTION = 8
_EARLY_STAGES = 2
_LEAST = 4  # segments that are worth a thread
# oneDNN keeps compiled code and workspace for every shape it has met, megabytes for each number of
# segments. So there are to be few such numbers: 1, 2, and multiples of this.
_STEP = 4
_PRODUCTS = 1 << 16  # inner products between nodes at once: 256 KB
_ONEDNN = torch.backends.mkldnn.is_available()


def supports(encoder: nn.Module) -> bool:
    """Whether :class:`FastGraFPrint` can be made of an encoder."""
    return isinstance(encoder, GraFPrint) and not encoder.config.norm_groups


class FastGraFPrint:
    """A trained GraFPrint encoder for the CPU, in ``dtype`` float32 or bfloat16."""

    def __init__(self, encoder: GraFPrint, dtype: torch.dtype = torch.float32) -> None:
        """Fold and lay out the weights (copies). ValueError unless :func:`supports` the encoder."""
        if not supports(encoder):
            raise ValueError("only encoders with batch normalisation can be folded")
        self.config, self.dtype, self._grid = encoder.config, dtype, encoder.grid
        layers: Any = encoder  # a Module's parts are not typed
        self._stem = [_Convolution(encoder.stem[i : i + 2], dtype) for i in (0, 3)]
        self._project = _Dense.folded(layers.project, dtype, "gelu")
        self._down = [_Convolution(down, dtype, "none") for down in layers.down]
        self._stages = [
            [_Block(block, ffn, dtype) for block, ffn in zip(blocks, ffns, strict=True)]
            for blocks, ffns in zip(layers.stages, layers.ffns, strict=True)
        ]
        self._head = [_Dense.of(layer, dtype) for layer in (encoder.widen, *encoder.head[::2])]

    def __call__(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` (float32, unit length) of windows ``x [n, 3, F, T]``."""
        parts = min(len(x) // _LEAST, torch.get_num_threads())
        if parts <= 1:
            return self._run(x, None)
        return torch.cat(list(_workers().map(self._run, x.tensor_split(parts))))

    def with_graphs(self, x: Tensor) -> tuple[Tensor, list[BlockGraph]]:
        """The same, and the graph of every block of this very pass."""
        graphs: list[BlockGraph] = []
        return self._run(x, graphs), graphs

    def _run(self, x: Tensor, graphs: list[BlockGraph] | None = None) -> Tensor:
        n = len(x)
        with torch.inference_mode():
            if graphs is None and n > 2 and n % _STEP:
                x = torch.cat([x, x[-1:].expand(_STEP - n % _STEP, -1, -1, -1)])
            portions = x.split(len(x) if graphs is not None else _PORTION)
            x = torch.cat([self._early(portion, graphs) for portion in portions])
            for stage in range(_EARLY_STAGES, len(self._stages)):
                x = self._stage(stage, x, graphs)
            z = x.float().mean(dim=(2, 3)).to(self.dtype)
            widen, hidden, out = self._head
            return F.normalize(out(F.elu(hidden(widen(z)))).float(), dim=-1)[:n]

    def _early(self, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        x = x.to(self.dtype, memory_format=torch.channels_last)
        for convolve in self._stem:
            x = convolve(x)
        x = _to_map(self._project(_to_rows(x)), x.shape)
        for stage in range(len(self._stages))[:_EARLY_STAGES]:
            x = self._stage(stage, x, graphs)
        return x

    def _stage(self, stage: int, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        if stage:
            x = self._down[stage - 1](x)
        shape = x.shape
        rows = _to_rows(x)
        for number, block in enumerate(self._stages[stage]):
            before = rows
            rows, graph = block(rows, shape[2] * shape[3])
            if graphs is not None:
                grid = self._grid(stage)
                positions = node_positions(grid, self.config.input_shape)
                after = _to_map(rows, shape)
                graphs.append(
                    BlockGraph(
                        stage, number, grid, block.dilation, graph, positions,
                        rows.view(shape[0], -1, shape[1]).float(),
                        relative_change(_to_map(before, shape), after),
                    )
                )  # fmt: skip
        return _to_map(rows, shape)


class _Block:
    """A graph block and its FFN on rows ``[B * N, C]``."""

    def __init__(self, block: GraphBlock, ffn: FFN, dtype: torch.dtype) -> None:
        self.k, self.dilation = block.k, block.dilation
        self._bias = block.position_bias
        self._in = _Dense.folded(block.linear_in, dtype)
        self._groups = cast(nn.Conv2d, block.conv.update[0]).groups
        self._update = _Dense(*_update_weights(block), dtype, "gelu")
        self._out = _Dense.folded(block.linear_out, dtype)
        self._ffn_in = _Dense.folded(ffn.linear_in, dtype, "gelu")
        self._ffn_out = _Dense.folded(ffn.linear_out, dtype)

    def __call__(self, rows: Tensor, n: int) -> tuple[Tensor, KNNGraph]:
        y = self._in(rows).view(-1, n, rows.shape[1])
        graph = self._graph(_unit(y))
        both = torch.empty((len(y), n, 2 * y.shape[2]), dtype=y.dtype)
        bits = torch.int16 if y.dtype == torch.bfloat16 else torch.int32
        kernels.with_maxima(
            y.view(bits).numpy(), graph.neighbours.numpy(), self._groups, both.view(bits).numpy(),
            8 * bits.itemsize - 1,
        )  # fmt: skip
        update = self._update(both.view(len(rows), -1))
        rows = self._out(update, rows)
        rows = self._ffn_out(self._ffn_in(rows), rows)
        return rows, graph

    def _graph(self, unit: Tensor) -> KNNGraph:
        """The graph of unit nodes ``[B, N, C]`` float32; see :func:`grafprint.graph.knn`."""
        graphs, n, _ = unit.shape
        neighbours = torch.empty((graphs, n, self.k), dtype=torch.int64)
        values = torch.empty((graphs, n, self.k))
        step = _PRODUCTS // n**2
        if step or not _ONEDNN:  # several graphs at once
            step = max(1, step)
            for begin in range(0, graphs, step):
                part = slice(begin, begin + step)
                products = torch.bmm(unit[part], unit[part].transpose(1, 2))
                self._choose(products, 0, neighbours[part], values[part])
        else:  # some rows of a graph at once
            size = _PRODUCTS // n
            for number, first in itertools.product(range(graphs), range(0, n, size)):
                part, rows = slice(number, number + 1), slice(first, first + size)
                products = _linear(unit[number, rows], unit[number], None)[None]
                self._choose(products, first, neighbours[part, rows], values[part, rows])
        return KNNGraph(neighbours, (2 - 2 * values).clamp_min(0).sqrt())

    def _choose(self, products: Tensor, first: int, neighbours: Tensor, values: Tensor) -> None:
        if self._bias is not None:
            products = products - self._bias[first : first + products.shape[1]] / 2
        kernels.nearest(
            products.numpy(), first, self.k, self.dilation, neighbours.numpy(), values.numpy()
        )


def _unit(y: Tensor) -> Tensor:
    """Nodes ``[B, N, C]`` at length 1, float32."""
    if y.dtype != torch.bfloat16:
        return F.normalize(y.float(), dim=-1)
    unit = torch.empty(y.shape)
    array = unit.numpy()
    kernels.unit_rows(y.view(torch.uint16).numpy(), array, array.view(np.uint32))
    return unit


class _Dense:
    """A matrix product with bias and what follows it, in one oneDNN primitive where there is it."""

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, activation: str = "none"
    ) -> None:
        self._activation, self._bias = activation, bias.to(dtype)
        self._weight = weight.to(dtype).contiguous()
        if _ONEDNN:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight)

    @classmethod
    def folded(cls, layers: nn.Sequential, dtype: torch.dtype, activation: str = "none") -> _Dense:
        """Of a 1 x 1 convolution and the batch normalisation after it."""
        weight, bias = _fold(cast(nn.Conv2d, layers[0]), cast(nn.BatchNorm2d, layers[1]))
        return cls(weight.flatten(1), bias, dtype, activation)

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> _Dense:
        """Of a linear layer."""
        linear = cast(nn.Linear, layer)
        return cls(linear.weight.detach(), linear.bias.detach(), dtype)

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Rows ``[m, in]`` to ``[m, out]``; ``add [m, out]`` is added."""
        if not _ONEDNN:
            y = F.linear(x, self._weight, self._bias)
            y = F.gelu(y) if self._activation == "gelu" else y
            return y if add is None else y + add
        if add is None:
            return _linear(x, self._weight, self._bias, self._activation)
        return cast(
            Tensor,
            torch.ops.mkldnn._linear_pointwise.binary(x, add, self._weight, self._bias, "add"),
        )


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "none") -> Tensor:
    """oneDNN's product, with an activation; for fp32 twice as quick as PyTorch's own here."""
    y = torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation, [], "none")
    return cast(Tensor, y)


class _Convolution:
    """A convolution with its batch normalisation folded in, and what follows it."""

    def __init__(self, layers: nn.Sequential, dtype: torch.dtype, activation: str = "gelu") -> None:
        conv = cast(nn.Conv2d, layers[0])
        weight, bias = _fold(conv, cast(nn.BatchNorm2d, layers[1]))
        self._weight = weight.to(dtype, memory_format=torch.channels_last)
        self._bias, self._activation = bias.to(dtype), activation
        self._padding, self._stride = conv.padding, conv.stride

    def __call__(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self._weight, self._bias, self._stride, self._padding)
        return F.gelu(y) if self._activation == "gelu" else y


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what it and its batch normalisation do."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    return weight.detach(), (norm.bias - norm.running_mean * scale).detach()


def _update_weights(block: GraphBlock) -> tuple[Tensor, Tensor]:
    """The graph convolution's update as one matrix ``[2C, 2C]`` for nodes and maxima.

    Trained on pairs (x, max - x), channel by channel, in groups; here for (x of a group, max of
    the group): A x + B (max - x) = (A - B) x + B max. A product of the whole matrix, zero between
    the groups, is quicker than one for each.
    """
    conv = cast(nn.Conv2d, block.conv.update[0])
    weight, bias = _fold(conv, cast(nn.BatchNorm2d, block.conv.update[1]))
    pairs = weight.view(conv.groups, -1, weight.shape[1] // 2, 2)  # group, out, channel, half
    own, other = pairs.unbind(-1)
    return torch.block_diag(*torch.cat([own - other, other], dim=2)), bias


def _to_rows(x: Tensor) -> Tensor:
    """Map ``[B, C, H, W]`` in channels-last layout to ``[B * H * W, C]``, without a copy."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _to_map(rows: Tensor, shape: torch.Size) -> Tensor:
    return rows.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2)


@cache
def _workers() -> ThreadPoolExecutor:
    """Threads in which PyTorch uses one processor each."""
    os.register_at_fork(after_in_child=_workers.cache_clear)  # threads do not survive it
    return ThreadPoolExecutor(os.cpu_count(), "encoder", lambda: torch.set_num_threads(1))
