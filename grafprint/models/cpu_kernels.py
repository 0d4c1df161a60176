"""The graph layers' k-NN search and neighbour max-pooling for training on a CPU.

PyTorch's ``topk`` and ``max`` take a third of a training step; these loops are compiled by Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grafprint.models import loops
from grafprint.threads import available_threads, side_by_side


def nearest(closeness: Tensor, k: int, dilation: int) -> tuple[Tensor, Tensor]:
    """Every ``dilation``-th of the ``k * dilation`` closest nodes, itself excluded: ``[B, N, k]``.

    ``closeness [B, N, N]`` float32 is overwritten. Returns node numbers, closest first, and how
    close they are.
    """
    shape = (*closeness.shape[:2], k)
    neighbours, values = torch.empty(shape, dtype=torch.int64), torch.empty(shape)

    def find(close: np.ndarray, nodes: np.ndarray, how_close: np.ndarray) -> None:
        loops.nearest(close, 0, k, dilation, nodes, how_close)

    _share(find, closeness, neighbours, values)
    return neighbours, values


def neighbour_maxima(nodes: Tensor, neighbours: Tensor) -> Tensor:
    """The channel-wise maximum of ``nodes [B, N, C]`` over ``neighbours [B, N, k]``: ``[B, N, C]``.

    Differentiable; k is at most 255.
    """
    maxima: Tensor = _Maxima.apply(nodes, neighbours)
    return maxima


class _Maxima(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, nodes: Tensor, neighbours: Tensor) -> Tensor:
        values = nodes.float().contiguous()
        neighbours = neighbours.contiguous()
        largest = torch.empty_like(values)
        winners = torch.empty_like(values, dtype=torch.uint8)
        _share(loops.maxima, values, neighbours, largest, winners)
        ctx.save_for_backward(neighbours, winners)
        return largest.to(nodes.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        neighbours, winners = ctx.saved_tensors
        gradient = gradients[0].float().contiguous()
        total = torch.zeros_like(gradient)
        _share(loops.add_to_winners, gradient, neighbours, winners, total)
        return total.to(gradients[0].dtype), None


def _share(loop: Callable[..., None], *tensors: Tensor) -> None:
    """Run a loop over all graphs ``[B, ...]``, a part in each thread that PyTorch may use."""
    graphs = len(tensors[0])
    size = max(1, -(-graphs // available_threads()))
    # Detached: whether gradients are recorded is each thread's own setting.
    arrays = [tensor.detach().numpy() for tensor in tensors]

    def run(part: slice) -> None:
        loop(*(array[part] for array in arrays))

    for _ in side_by_side(run, (slice(n, n + size) for n in range(0, graphs, size))):
        pass
