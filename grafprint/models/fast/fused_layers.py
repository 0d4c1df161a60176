"""Trained layers with their batch normalisation folded in, as products that oneDNN computes."""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.fast import kernels
from grafprint.models.graph import FFN, GraphBlock, KNNGraph

_PRODUCTS = 1 << 17  # inner products between nodes at once: 512 KB
_ROWS = 1024  # that weights are laid out for
ONEDNN = torch.backends.mkldnn.is_available()


def onednn(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in it here: not in bfloat16 on processors without AVX-512."""
    if dtype != torch.bfloat16:
        return ONEDNN
    return ONEDNN and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class Block:
    """A graph block and its FFN on rows ``[B * N, C]``."""

    def __init__(self, block: GraphBlock, ffn: FFN, dtype: torch.dtype) -> None:
        self.k, self.dilation = block.k, block.dilation
        self._bias = block.position_bias
        self._in = Dense.folded(block.linear_in, dtype)
        self._groups = cast(nn.Conv2d, block.conv.update[0]).groups
        self._update = Grouped(*_update_weights(block), dtype)
        self._out = Dense.folded(block.linear_out, dtype)
        self._ffn_in = Dense.folded(ffn.linear_in, dtype, "gelu")
        self._ffn_out = Dense.folded(ffn.linear_out, dtype)

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
        """The graph of unit nodes ``[B, N, C]`` float32; see :func:`grafprint.models.graph.knn`."""
        graphs, n, _ = unit.shape
        neighbours = torch.empty((graphs, n, self.k), dtype=torch.int64)
        values = torch.empty((graphs, n, self.k))
        chosen, found = neighbours.numpy(), values.numpy()
        step = _PRODUCTS // n**2
        if step or not ONEDNN:  # several graphs at once
            step = max(1, step)
            for begin in range(0, graphs, step):
                part = slice(begin, begin + step)
                products = torch.bmm(unit[part], unit[part].transpose(1, 2))
                self._choose(products, 0, chosen[part], found[part])
        else:  # some rows of a graph at once
            size = _PRODUCTS // n
            for number, first in itertools.product(range(graphs), range(0, n, size)):
                part, rows = slice(number, number + 1), slice(first, first + size)
                products = _linear(unit[number, rows], unit[number], None)[None]
                self._choose(products, first, chosen[part, rows], found[part, rows])
        return KNNGraph(neighbours, (2 - 2 * values).clamp_min(0).sqrt())

    def _choose(
        self, products: Tensor, first: int, neighbours: np.ndarray, values: np.ndarray
    ) -> None:
        if self._bias is not None:
            products = products - self._bias[first : first + products.shape[1]] / 2
        kernels.nearest(products.numpy(), first, self.k, self.dilation, neighbours, values)


def _unit(y: Tensor) -> Tensor:
    """Nodes ``[B, N, C]`` at length 1, float32."""
    if y.dtype != torch.bfloat16:
        return F.normalize(y.float(), dim=-1)
    unit = torch.empty(y.shape)
    array = unit.numpy()
    kernels.unit_rows(y.view(torch.uint16).numpy(), array, array.view(np.uint32))
    return unit


class Dense:
    """A matrix product with bias and what follows it, in one oneDNN primitive where there is it."""

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, activation: str = "none"
    ) -> None:
        self._activation, self._bias = activation, bias.to(dtype)
        self._weight = weight.to(dtype).contiguous()
        self._onednn = onednn(dtype)
        if self._onednn:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight)

    @classmethod
    def folded(cls, layers: nn.Sequential, dtype: torch.dtype, activation: str = "none") -> Dense:
        """Of a 1 x 1 convolution and the batch normalisation after it."""
        weight, bias = _fold(cast(nn.Conv2d, layers[0]), cast(nn.BatchNorm2d, layers[1]))
        return cls(weight.flatten(1), bias, dtype, activation)

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> Dense:
        """Of a linear layer."""
        linear = cast(nn.Linear, layer)
        return cls(linear.weight.detach(), linear.bias.detach(), dtype)

    def __call__(self, x: Tensor, add: Tensor | None = None) -> Tensor:
        """Rows ``[m, in]`` to ``[m, out]``; ``add [m, out]`` is added."""
        if not self._onednn:
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


class Grouped:
    """Products of a matrix for each group of channels, with bias and GELU, in one primitive."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        """``weight [groups, out, in]``, ``bias [groups * out]``."""
        self._groups, self._bias = len(weight), bias.to(dtype)
        self._weight = weight.to(dtype).flatten(0, 1)[:, :, None, None].contiguous()
        self._onednn = onednn(dtype)
        if self._onednn:
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, [0, 0], [1, 1], [1, 1], self._groups, [1, len(bias), _ROWS, 1]
            )

    def __call__(self, rows: Tensor) -> Tensor:
        """``rows [m, groups * in]`` to ``[m, groups * out]``."""
        x = rows.view(1, len(rows), 1, -1).permute(0, 3, 1, 2)  # a map of one column
        if self._onednn:
            y = torch.ops.mkldnn._convolution_pointwise(
                x,
                self._weight,
                self._bias,
                [0, 0],
                [1, 1],
                [1, 1],
                self._groups,
                "gelu",
                [],
                "none",
            )
        else:
            y = F.gelu(F.conv2d(x, self._weight, self._bias, groups=self._groups))
        return to_rows(y)


class Convolution:
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
    """The graph convolution's update for nodes and maxima: matrices of its groups, and bias.

    Trained on pairs (x, max - x), channel by channel, in groups; here for (x of a group, max of
    the group): A x + B (max - x) = (A - B) x + B max.
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
    return rows.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2)
