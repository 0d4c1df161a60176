"""The graphs of a tagger's forward pass: what its nodes, patches and labels, had edges to."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from grafprint.models.graph import KNNGraph, node_positions
from grafprint.models.taggers.labels import LabelBlock
from grafprint.models.taggers.patches import PatchBlock


@dataclass(frozen=True)
class PatchGraph:
    """The graph that one patch block (PGN) used.

    Node ``n`` stands for the point ``(n // grid[1], n % grid[1])`` of the block's map. Its
    neighbours are points of ``key_grid``: the same map, or the map of means over squares of it.
    ``weights [B, N, k]`` are the shares of channels that each neighbour wins in the maximum
    (sums of 1); the others have no part in the update. ``positions [N, 2]`` and
    ``key_positions [M, 2]`` are centres (mel bin, frame) on the input.
    """

    stage: int
    block: int
    grid: tuple[int, int]
    key_grid: tuple[int, int]
    dilation: int
    graph: KNNGraph
    weights: Tensor
    positions: Tensor
    key_positions: Tensor


@dataclass(frozen=True)
class LabelGraph:
    """The graphs that one label block (MLG) used.

    ``patches.neighbours [B, S, k]`` are the patches that each label has an edge to, numbers of
    nodes of ``grid``, and ``weights [B, S, k]`` the shares of channels that each wins (sums of 1);
    ``positions [N, 2]`` are the patches' centres (mel bin, frame) on the input.
    ``adjacency [S, S]`` is the label graph: to label ``i``, ``adjacency[i, j]`` times label ``j``
    is added. It was learned and is the same for every clip.
    """

    stage: int
    block: int
    grid: tuple[int, int]
    patches: KNNGraph
    weights: Tensor
    positions: Tensor
    adjacency: Tensor


@dataclass(frozen=True)
class TaggingGraphs:
    """All graphs of one forward pass, in order, and the two terms of its logits (Eq. 9).

    ``patch_logits`` come from the pooled patches and ``label_logits`` from the label nodes, both
    ``[B, S]``; a network without label nodes has no ``label_logits``. ``patches [B, C, H, W]`` are
    those of the last stage, whose mean the first term is computed from.
    """

    patch_graphs: list[PatchGraph]
    label_graphs: list[LabelGraph]
    patch_logits: Tensor
    label_logits: Tensor | None
    patches: Tensor


class Recorder:
    """Collects the graphs of a forward pass as it computes them."""

    def __init__(self, stem_halvings: int) -> None:
        self.stem_halvings = stem_halvings
        self.patch_graphs: list[PatchGraph] = []
        self.label_graphs: list[LabelGraph] = []

    def run_patch_block(self, block: PatchBlock, x: Tensor, stage: int, number: int) -> Tensor:
        """The output of a patch block for the map ``x``, as ``block(x)[0]``."""
        y, graph, weights = block.forward_with_weights(x)
        grid = (x.shape[2], x.shape[3])
        _, dilation = block.neighbourhood(grid)
        positions = self._positions(grid, stage)
        centres = positions.T.reshape(1, 2, *grid)
        key_centres = F.avg_pool2d(centres, block.pool, ceil_mode=True)[0].flatten(1).T
        self.patch_graphs.append(
            PatchGraph(
                stage,
                number,
                grid,
                block.key_grid(grid),
                dilation,
                graph,
                weights,
                positions,
                key_centres,
            )
        )
        return y

    def add_label_block(
        self, block: LabelBlock, graph: KNNGraph, x: Tensor, stage: int, number: int
    ) -> None:
        """Keep the graphs of a label block whose patches were the map ``x``."""
        grid = (x.shape[2], x.shape[3])
        weights, positions = block.weights(graph), self._positions(grid, stage)
        adjacency = block.llg.adjacency.detach()
        self.label_graphs.append(
            LabelGraph(stage, number, grid, graph, weights, positions, adjacency)
        )

    def _positions(self, grid: tuple[int, int], stage: int) -> Tensor:
        side = 1 << (self.stem_halvings + stage)  # of a node's square on the input
        return node_positions(grid, (grid[0] * side, grid[1] * side))
