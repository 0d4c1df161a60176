"""The graph layers' k-NN search and neighbour max-pooling for training on a CPU.

PyTorch's ``topk`` and ``max`` take a third of a training step; these loops are compiled by Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

    def find(part: slice) -> None:
        loops.nearest(
            closeness[part].numpy(), 0, k, dilation, neighbours[part].numpy(), values[part].numpy()
        )

    _share(find, len(closeness))
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
        # Detached: the threads that share the work would record gradients.
        values = nodes.detach().float().contiguous()
        neighbours = neighbours.contiguous()
        largest = torch.empty_like(values)
        winners = torch.empty_like(values, dtype=torch.uint8)

        def find(part: slice) -> None:
            loops.maxima(
                values[part].numpy(),
                neighbours[part].numpy(),
                largest[part].numpy(),
                winners[part].numpy(),
            )

        _share(find, len(values))
        ctx.save_for_backward(neighbours, winners)
        return largest.to(nodes.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        neighbours, winners = ctx.saved_tensors
        gradient = gradients[0].detach().float().contiguous()
        total = torch.zeros_like(gradient)

        def add(part: slice) -> None:
            loops.add_to_winners(
                gradient[part].numpy(),
                neighbours[part].numpy(),
                winners[part].numpy(),
                total[part].numpy(),
            )

        _share(add, len(gradient))
        return total.to(gradients[0].dtype), None


def _share(work: Callable[[slice], None], graphs: int) -> None:
    """Do the work for all graphs, a part in each thread that PyTorch may use."""
    size = max(1, -(-graphs // available_threads()))
    for _ in side_by_side(work, (slice(n, n + size) for n in range(0, graphs, size))):
        pass
