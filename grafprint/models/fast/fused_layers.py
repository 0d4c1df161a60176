"""Trained layers with their batch normalisation folded in, computed by oneDNN where possible."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models import loops
from grafprint.models.graph import FFN, GraphBlock, KNNGraph

_PRODUCTS = 1 << 17  # inner products between nodes computed at once: 512 KB
_ROWS = 1024  # number of rows for which oneDNN lays out weights


@dataclass(frozen=True)
class OneDNN:
    """PyTorch's operators for oneDNN's fused primitives. They are private and may change."""

    supports_bf16: Callable[[], bool]
    linear: Callable[..., Tensor]
    linear_add: Callable[..., Tensor]
    reorder_linear: Callable[..., Tensor]
    convolve: Callable[..., Tensor]
    reorder_convolution: Callable[..., Tensor]


def find_onednn() -> OneDNN | None:
    """The operators, or None where PyTorch lacks oneDNN or any of them."""
    if not torch.backends.mkldnn.is_available():
        return None
    operators: Any = torch.ops.mkldnn
    try:
        return OneDNN(
            operators._is_mkldnn_bf16_supported,
            operators._linear_pointwise,
            operators._linear_pointwise.binary,
            operators._reorder_linear_weight,
            operators._convolution_pointwise,
            operators._reorder_convolution_weight,
        )
    except AttributeError:
        return None


ONEDNN = find_onednn()


def onednn_for(dtype: torch.dtype) -> OneDNN | None:
    """The operators if they compute in ``dtype``; bfloat16 takes a CPU with AVX-512."""
    if dtype == torch.bfloat16 and ONEDNN and not ONEDNN.supports_bf16():
        return None
    return ONEDNN


class Block:
    """A graph block and its FFN on rows ``[B * N, C]``."""

    def __init__(self, block: GraphBlock, ffn: FFN, dtype: torch.dtype) -> None:
        self.k, self.dilation = block.k, block.dilation
        self._bias = block.position_bias
        self._in = Dense.fold(block.linear_in, dtype)
        self._groups = cast(nn.Conv2d, block.conv.update[0]).groups
        self._update = Grouped(*_update_weights(block), dtype)
        self._out = Dense.fold(block.linear_out, dtype)
        self._ffn_in = Dense.fold(ffn.linear_in, dtype, "gelu")
        self._ffn_out = Dense.fold(ffn.linear_out, dtype)

    def __call__(self, rows: Tensor, n: int) -> tuple[Tensor, KNNGraph]:
        y = self._in(rows).view(-1, n, rows.shape[1])
        graph = self._graph(_unit(y))
        both = torch.empty((len(y), n, 2 * y.shape[2]), dtype=y.dtype)
        bits = torch.int16 if y.dtype == torch.bfloat16 else torch.int32
        loops.with_maxima(
            y.view(bits).numpy(),
            graph.neighbours.numpy(),
            self._groups,
            both.view(bits).numpy(),
            8 * bits.itemsize - 1,
        )
        update = self._update(both.view(len(rows), -1))
        rows = self._out(update, rows)
        rows = self._ffn_out(self._ffn_in(rows), rows)
        return rows, graph

    def _graph(self, unit: Tensor) -> KNNGraph:
        """The graph of unit nodes ``[B, N, C]`` float32; see :func:`grafprint.models.graph.knn`."""
        graphs, n, _ = unit.shape
        neighbours = torch.empty((graphs, n, self.k), dtype=torch.int64)
        cosines = torch.empty((graphs, n, self.k))
        neighbours_out, cosines_out = neighbours.numpy(), cosines.numpy()
        step = _PRODUCTS // n**2
        if step or not ONEDNN:  # several graphs at once
            step = max(1, step)
            for begin in range(0, graphs, step):
                part = slice(begin, begin + step)
                products = torch.bmm(unit[part], unit[part].transpose(1, 2))
                self._choose(products, 0, neighbours_out[part], cosines_out[part])
        else:  # some rows of a graph at once
            size = _PRODUCTS // n
            for number, first in itertools.product(range(graphs), range(0, n, size)):
                part, rows = slice(number, number + 1), slice(first, first + size)
                products = ONEDNN.linear(unit[number, rows], unit[number], None, "none", [], "none")
                self._choose(
                    products[None], first, neighbours_out[part, rows], cosines_out[part, rows]
                )
        return KNNGraph(neighbours, (2 - 2 * cosines).clamp_min(0).sqrt())

    def _choose(
        self, products: Tensor, first: int, neighbours: np.ndarray, cosines: np.ndarray
    ) -> None:
        if self._bias is not None:
            products = products - self._bias[first : first + products.shape[1]] / 2
        loops.nearest(products.numpy(), first, self.k, self.dilation, neighbours, cosines)


def _unit(y: Tensor) -> Tensor:
    """Scale nodes ``[B, N, C]`` to length 1, in float32."""
    if y.dtype != torch.bfloat16:
        return F.normalize(y.float(), dim=-1)
    unit = torch.empty(y.shape)
    array = unit.numpy()
    loops.unit_rows(y.view(torch.uint16).numpy(), array, array.view(np.uint32))
    return unit


class Dense:
    """A matrix product with bias, then an activation or a sum, fused by oneDNN where possible."""

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, activation: str = "none"
    ) -> None:
        self._activation, self._bias = activation, bias.to(dtype)
        self._weight = weight.to(dtype).contiguous()
        self._onednn = onednn_for(dtype)
        if self._onednn:
            self._weight = self._onednn.reorder_linear(self._weight)

    @classmethod
    def fold(cls, layers: nn.Sequential, dtype: torch.dtype, activation: str = "none") -> Dense:
        """From a 1 x 1 convolution and the batch normalisation after it."""
        weight, bias = _fold(cast(nn.Conv2d, layers[0]), cast(nn.BatchNorm2d, layers[1]))
        return cls(weight.flatten(1), bias, dtype, activation)

    @classmethod
    def from_linear(cls, layer: nn.Module, dtype: torch.dtype) -> Dense:
        """From a linear layer."""
        linear = cast(nn.Linear, layer)
        return cls(linear.weight.detach(), linear.bias.detach(), dtype)

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Rows ``[m, in]`` to ``[m, out]``; ``add [m, out]``, if given, is added."""
        if not self._onednn:
            y = F.linear(x, self._weight, self._bias)
            y = F.gelu(y) if self._activation == "gelu" else y
            return y if add is None else y + add
        if add is None:  # also without an activation twice as fast in fp32 as F.linear
            return self._onednn.linear(x, self._weight, self._bias, self._activation, [], "none")
        return self._onednn.linear_add(x, add, self._weight, self._bias, "add")


class Grouped:
    """A matrix product for each group of channels, with bias and GELU, fused where possible."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """``weight [groups, out, in]``, ``bias [groups * out]``."""
        self._groups, self._bias = len(weight), bias.to(dtype)
        self._weight = weight.to(dtype).flatten(0, 1)[:, :, None, None].contiguous()
        self._onednn = onednn_for(dtype)
        if self._onednn:
            shape = [1, len(bias), _ROWS, 1]
            self._weight = self._onednn.reorder_convolution(
                self._weight, [0, 0], [1, 1], [1, 1], self._groups, shape
            )

    def __call__(self, rows: Tensor) -> Tensor:
        """``rows [m, groups * in]`` to ``[m, groups * out]``."""
        x = rows.view(1, len(rows), 1, -1).permute(0, 3, 1, 2)  # a map of one column
        if self._onednn:
            padding, stride, dilation = [0, 0], [1, 1], [1, 1]
            options: Any = (padding, stride, dilation, self._groups, "gelu", [], "none")
            y = self._onednn.convolve(x, self._weight, self._bias, *options)
        else:
            y = F.gelu(F.conv2d(x, self._weight, self._bias, groups=self._groups))
        return to_rows(y)


class Convolution:
    """A convolution with its batch normalisation folded in, and an activation."""

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
    """Weight and bias of one convolution that equals ``conv`` followed by ``norm``."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    return weight.detach(), (norm.bias - norm.running_mean * scale).detach()


def _update_weights(block: GraphBlock) -> tuple[Tensor, Tensor]:
    """Weights ``[groups, out, in]`` and bias of the graph convolution, for nodes and maxima.

    It was trained on pairs (x, max - x), channel by channel, in groups; here a group's input is
    all its x, then all its maxima: A x + B (max - x) = (A - B) x + B max.
    """
    conv = cast(nn.Conv2d, block.conv.update[0])
    weight, bias = _fold(conv, cast(nn.BatchNorm2d, block.conv.update[1]))
    pairs = weight.view(conv.groups, -1, weight.shape[1] // 2, 2)  # group, out, channel, half
    own, other = pairs.unbind(-1)
    return torch.cat([own - other, other], dim=2), bias


def to_rows(x: Tensor) -> Tensor:
    """Map ``[B, C, H, W]`` in channels-last layout to ``[B * H * W, C]``, without a copy."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def to_map(rows: Tensor, shape: torch.Size) -> Tensor:
    """Undo :func:`to_rows`: ``[B * H * W, C]`` to a map with the ``B``, ``H``, ``W`` of a shape."""
    return rows.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2)
