"""Inference-only GraFPrint encoder: same outputs, faster (measured by benchmarks.encoding).

Batch normalisations are folded into the weights before them, weights are laid out for oneDNN once,
activations and residual sums are fused into the products, compiled loops find and gather
neighbours, and each thread processes its own segments, in portions that fit its cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.models.encoders.grafprint import GraFPrint, add_mean_channel
from grafprint.models.fast.fused_layers import Block, Convolution, Dense, to_map, to_rows
from grafprint.models.graph import BlockGraph, node_positions, relative_change
from grafprint.threads import available_threads, workers

# Segments processed at once in the first two stages, where a segment has many nodes: more would
# not fit the second-level cache. The last two have few nodes and large weights: all at once.
_PORTION = 8
_EARLY_STAGES = 2
_LEAST = 4  # segments that are worth a thread
# oneDNN keeps compiled code and workspace for every shape it has seen, megabytes for each number
# of segments. So only few numbers are used: 1, 2, and multiples of this.
_STEP = 4


def supports(encoder: nn.Module) -> bool:
    """Whether :class:`FastGraFPrint` supports an encoder."""
    if not isinstance(encoder, GraFPrint):
        return False
    return not encoder.config.norm_groups and not encoder.config.bypass


def _in_threads(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What ``run`` makes of ``x [n, ...]``, each thread of a part of it."""
    parts = min(len(x) // _LEAST, available_threads())
    if parts <= 1:
        return run(x)
    return torch.cat(list(workers().map(run, x.tensor_split(parts))))


class FastGraFPrint:
    """A trained GraFPrint encoder for the CPU, in ``dtype`` float32 or bfloat16."""

    def __init__(self, encoder: GraFPrint, dtype: torch.dtype = torch.float32) -> None:
        """Copy, fold and lay out the weights. ValueError unless it :func:`supports` the encoder."""
        if not supports(encoder):
            raise ValueError(
                "only encoders with batch normalisation and graph blocks can be folded"
            )
        self.config, self.dtype, self._grid = encoder.config, dtype, encoder.grid
        layers: Any = encoder  # the parts of a Module are not typed
        self._stem = [Convolution(encoder.stem[i : i + 2], dtype) for i in (0, 3)]
        self._project = Dense.fold(layers.project, dtype, "gelu")
        self._down = [Convolution(down, dtype, "none") for down in layers.down]
        self._stages = [
            [Block(block, ffn, dtype) for block, ffn in zip(blocks, ffns, strict=True)]
            for blocks, ffns in zip(layers.stages, layers.ffns, strict=True)
        ]
        head = (encoder.widen, *encoder.head[::2])
        self._head = [Dense.from_linear(layer, dtype) for layer in head]

    def __call__(self, x: Tensor) -> Tensor:
        """Fingerprints ``[n, dim]`` (float32, unit length) of windows ``x [n, 3, F, T]``."""
        return _in_threads(self._run, x)

    def nodes(self, x: Tensor) -> Tensor:
        """The nodes ``[n, N, C]`` (float32) that the fingerprints of ``x`` are made of."""
        return _in_threads(lambda part: self._map(part, None).float().flatten(2).mT, x)

    def with_graphs(self, x: Tensor) -> tuple[Tensor, list[BlockGraph]]:
        """Fingerprints, and the graph that each block used to compute them."""
        graphs: list[BlockGraph] = []
        return self._run(x, graphs), graphs

    def _run(self, x: Tensor, graphs: list[BlockGraph] | None = None) -> Tensor:
        with torch.inference_mode():
            z = self._map(x, graphs).float().mean(dim=(2, 3)).to(self.dtype)
            widen, hidden, out = self._head
            return F.normalize(out(F.elu(hidden(widen(z)))).float(), dim=-1)

    def _map(self, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        n = len(x)
        with torch.inference_mode():
            if graphs is None and n > 2 and n % _STEP:
                x = torch.cat([x, x[-1:].expand(_STEP - n % _STEP, -1, -1, -1)])
            portions = x.split(len(x) if graphs is not None else _PORTION)
            x = torch.cat([self._early(portion, graphs) for portion in portions])
            for stage in range(_EARLY_STAGES, len(self._stages)):
                x = self._stage(stage, x, graphs)
            return x[:n]

    def _early(self, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        if self.config.mean_channel:
            x = add_mean_channel(x)
        x = x.to(self.dtype, memory_format=torch.channels_last)
        for convolve in self._stem:
            x = convolve(x)
        x = to_map(self._project(to_rows(x)), x.shape)
        for stage in range(len(self._stages))[:_EARLY_STAGES]:
            x = self._stage(stage, x, graphs)
        return x

    def _stage(self, stage: int, x: Tensor, graphs: list[BlockGraph] | None) -> Tensor:
        if stage:
            x = self._down[stage - 1](x)
        shape = x.shape
        rows = to_rows(x)
        for number, block in enumerate(self._stages[stage]):
            before = rows
            rows, graph = block(rows, shape[2] * shape[3])
            if graphs is not None:
                grid = self._grid(stage)
                positions = node_positions(grid, self.config.input_shape)
                after = to_map(rows, shape)
                graphs.append(
                    BlockGraph(
                        stage,
                        number,
                        grid,
                        block.dilation,
                        graph,
                        positions,
                        rows.view(shape[0], -1, shape[1]).float(),
                        relative_change(to_map(before, shape), after),
                    )
                )
        return to_map(rows, shape)
