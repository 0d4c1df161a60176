"""Fused Triton kernels for the graph layers: k-NN search and neighbour max-pooling.

PyTorch writes the products of all pairs of nodes to memory, 1 MB per segment in the first stage,
and sorts them; here they never leave the registers. Importing this module needs Triton, which
comes with PyTorch's builds for NVIDIA GPUs.
"""

from __future__ import annotations

import os
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import triton_op, wrap_triton

# Triton's interpreter runs kernels on the CPU; the tests use it.
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
_TILE = 1 << 14  # products that one program holds at once
_CHANNELS = 64  # channels that one program gathers at once


def _launchable(kernel: Any) -> Any:
    return kernel if _INTERPRETED else wrap_triton(kernel)


@triton.jit
def _nearest_kernel(
    nodes, neighbours, closeness, n, channels,
    K: tl.constexpr, DILATION: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    graph = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, COLUMNS)
    depth = tl.arange(0, DEPTH)
    first = nodes + graph * n * channels
    products = tl.zeros([ROWS, COLUMNS], tl.float32)
    row_power = tl.zeros([ROWS], tl.float32)
    column_power = tl.zeros([COLUMNS], tl.float32)
    for begin in range(0, channels, DEPTH):
        channel = begin + depth
        inside = channel < channels
        a = tl.load(
            first + rows[:, None] * channels + channel[None, :],
            mask=(rows[:, None] < n) & inside[None, :],
            other=0.0,
        )
        b = tl.load(
            first + columns[None, :] * channels + channel[:, None],
            mask=(columns[None, :] < n) & inside[:, None],
            other=0.0,
        )
        a, b = a.to(tl.float32), b.to(tl.float32)
        # 16-bit numbers are exact in tf32, and their products are summed in float32.
        products = tl.dot(a, b, products, input_precision="tf32x3" if EXACT else "tf32")
        row_power += tl.sum(a * a, axis=1)
        column_power += tl.sum(b * b, axis=0)
    row_scale = 1 / tl.maximum(tl.sqrt(row_power), 1e-12)
    column_scale = 1 / tl.maximum(tl.sqrt(column_power), 1e-12)
    products = products * row_scale[:, None] * column_scale[None, :]
    other = (columns[None, :] < n) & (columns[None, :] != rows[:, None])
    products = tl.where(other, products, float("-inf"))
    to = (graph * n + rows) * K
    for place in tl.static_range((K - 1) * DILATION + 1):
        best = tl.max(products, axis=1)
        # The first of equal ones; any valid node if all are NaN.
        equal = products == best[:, None]
        at = tl.min(tl.where(equal, columns[None, :], COLUMNS), axis=1)
        at = tl.minimum(at, n - 1)
        if place % DILATION == 0:
            tl.store(neighbours + to + place // DILATION, at.to(tl.int64), mask=rows < n)
            tl.store(closeness + to + place // DILATION, best, mask=rows < n)
        products = tl.where(columns[None, :] == at[:, None], float("-inf"), products)


@triton_op("grafprint::nearest", mutates_args=())
def nearest(nodes: Tensor, k: int, dilation: int) -> tuple[Tensor, Tensor]:
    """Every ``dilation``-th of the ``k * dilation`` nodes closest to each node, itself excluded.

    ``nodes [B, N, C]`` must be contiguous. Returns neighbours (int64) and cosine similarities
    (float32), both ``[B, N, k]``, closest first.
    """
    b, n, channels = nodes.shape
    neighbours = torch.empty(b, n, k, dtype=torch.int64, device=nodes.device)
    closeness = torch.empty(b, n, k, dtype=torch.float32, device=nodes.device)
    columns = max(16, triton.next_power_of_2(n))
    rows = max(16, min(64, _TILE // columns, triton.next_power_of_2(n)))
    _launchable(_nearest_kernel)[(b, triton.cdiv(n, rows))](
        nodes,
        neighbours,
        closeness,
        n,
        channels,
        K=k,
        DILATION=dilation,
        ROWS=rows,
        COLUMNS=columns,
        DEPTH=32,
        EXACT=nodes.dtype == torch.float32,
        num_warps=8 if rows * columns >= 8192 else 4,
        num_stages=2,
    )
    return neighbours, closeness


@triton.jit
def _maxima_kernel(
    nodes, neighbours, maxima, winner, total, n, channels,
    K: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = rows < total
    mask = known[:, None] & (channel[None, :] < channels)
    first = rows // n * n
    best = tl.full([ROWS, CHANNELS], float("-inf"), tl.float32)
    index = tl.zeros([ROWS, CHANNELS], tl.int32)
    for place in tl.static_range(K):
        row = first + tl.load(neighbours + rows * K + place, mask=known, other=0)
        at = row[:, None] * channels + channel[None, :]
        value = tl.load(nodes + at, mask=mask, other=0.0).to(tl.float32)
        # NaN wins, so that it is not hidden.
        larger = (value > best) | (value != value)
        best = tl.where(larger, value, best)
        index = tl.where(larger, place, index)
    at = rows[:, None] * channels + channel[None, :]
    tl.store(maxima + at, best.to(maxima.dtype.element_ty), mask=mask)
    tl.store(winner + at, index.to(tl.uint8), mask=mask)


@triton.jit
def _scatter_gradient_kernel(
    gradient, neighbours, winner, result, total, n, channels,
    K: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    mask = (rows[:, None] < total) & (channel[None, :] < channels)
    first = rows // n * n
    at = rows[:, None] * channels + channel[None, :]
    value = tl.load(gradient + at, mask=mask, other=0.0).to(tl.float32)
    index = tl.load(winner + at, mask=mask, other=0).to(tl.int64)
    row = first[:, None] + tl.load(neighbours + rows[:, None] * K + index, mask=mask, other=0)
    tl.atomic_add(result + row * channels + channel[None, :], value, mask=mask)


def _grid(total: int, channels: int) -> tuple[tuple[int, int], int]:
    rows = 32
    return (triton.cdiv(total, rows), triton.cdiv(channels, _CHANNELS)), rows


@triton_op("grafprint::neighbour_maxima", mutates_args=())
def _maxima(nodes: Tensor, neighbours: Tensor) -> tuple[Tensor, Tensor]:
    b, n, channels = nodes.shape
    maxima = torch.empty_like(nodes)
    winner = torch.empty(b, n, channels, dtype=torch.uint8, device=nodes.device)
    grid, rows = _grid(b * n, channels)
    _launchable(_maxima_kernel)[grid](
        nodes,
        neighbours,
        maxima,
        winner,
        b * n,
        n,
        channels,
        K=neighbours.shape[2],
        ROWS=rows,
        CHANNELS=_CHANNELS,
    )
    return maxima, winner


@triton_op("grafprint::scatter_gradient", mutates_args=())
def _scatter_gradient(gradient: Tensor, neighbours: Tensor, winner: Tensor) -> Tensor:
    b, n, channels = gradient.shape
    result = torch.zeros(b, n, channels, dtype=torch.float32, device=gradient.device)
    grid, rows = _grid(b * n, channels)
    _launchable(_scatter_gradient_kernel)[grid](
        gradient,
        neighbours,
        winner,
        result,
        b * n,
        n,
        channels,
        K=neighbours.shape[2],
        ROWS=rows,
        CHANNELS=_CHANNELS,
    )
    return result.to(gradient.dtype)


def _save(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[1], output[1])


def _backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None]:
    neighbours, winner = ctx.saved_tensors
    return _scatter_gradient(gradient.contiguous(), neighbours, winner), None


_maxima.register_autograd(_backward, setup_context=_save)


def neighbour_maxima(nodes: Tensor, neighbours: Tensor) -> Tensor:
    """Channel-wise maximum over each node's neighbours: ``[B, N, C]``, differentiable.

    ``nodes [B, N, C]`` must be contiguous; ``neighbours [B, N, k]`` are int64. The gradient goes
    to the neighbour with the maximum, the nearest one if several have it.
    """
    maxima: Tensor = _maxima(nodes, neighbours)[0]
    return maxima
