"""Label nodes: what they learn from patches (PLG) and from each other (LLG), section II-B and C.

Labels are maps ``[B, C, S, 1]``, so that they pass through the same layers as patches.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from grafprint.models.graph import (
    FFN,
    DropPath,
    KNNGraph,
    MaxRelativeConv,
    knn,
    max_relative,
    to_map,
    to_nodes,
    winner_shares,
)


class PatchLabelConv(MaxRelativeConv):
    """Eq. 4, and the update of Eq. 5: ``[l_i, max_j(l_i - x_j)] W_l-update``, ``2C -> C``."""

    def __init__(self, channels: int, groups: int = 4) -> None:
        super().__init__(channels, groups, c_out=channels)

    def messages(self, nodes: Tensor, neighbours: Tensor, keys: Tensor | None) -> Tensor:
        """``max_j(l_i - x_j)`` over the patches ``keys``, ``[B, S, C]``."""
        assert keys is not None
        return max_relative(-nodes, neighbours, -keys)


class PatchLabelGNN(nn.Module):
    """PLG: each label is updated by the ``k`` patches nearest to it (Eq. 4 and 5)."""

    def __init__(self, channels: int, k: int, groups: int = 4, drop_path: float = 0.0) -> None:
        super().__init__()
        self.k = k
        self.conv = PatchLabelConv(channels, groups)
        self.drop_path = DropPath(drop_path)

    def forward(self, labels: Tensor, patches: Tensor) -> tuple[Tensor, KNNGraph]:
        """Updated labels ``[B, C, S, 1]``, and their edges to ``patches [B, N, C]``.

        The nearest are those of the smallest angle: features are compared after L2 normalisation.
        """
        graph = knn(to_nodes(labels), min(self.k, patches.shape[1]), keys=patches)
        update = self.conv(labels, graph.neighbours, patches)
        return labels + self.drop_path(update), graph


class LabelLabelGNN(nn.Module):
    """LLG, Eq. 6: ``A L + L`` with a learned, dense, unnormalised adjacency ``A [S, S]``."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(torch.empty(labels, labels))
        bound = 1 / math.sqrt(labels)
        nn.init.uniform_(self.adjacency, -bound, bound)

    def forward(self, labels: Tensor) -> Tensor:
        """Refined labels ``[B, C, S, 1]``, float32 also under autocast: fp16 would overflow."""
        with torch.autocast(labels.device.type, enabled=False):
            nodes = to_nodes(labels).float()
            nodes = self.adjacency.float() @ nodes + nodes
        return to_map(nodes, nodes.shape[1], 1)


class LabelBlock(nn.Module):
    """MLG: a PLG, an FFN on each label, and an LLG.

    The paper's text has no FFN here, but its parameter counts cannot be reached without one.
    """

    def __init__(
        self,
        labels: int,
        channels: int,
        k: int,
        groups: int = 4,
        expansion: int = 4,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.plg = PatchLabelGNN(channels, k, groups, drop_path)
        self.ffn = FFN(channels, expansion, drop_path)
        self.llg = LabelLabelGNN(labels)

    def forward(self, labels: Tensor, patches: Tensor) -> tuple[Tensor, KNNGraph]:
        """Updated labels ``[B, C, S, 1]``, and their edges to ``patches [B, N, C]``."""
        labels, graph = self.plg(labels, patches)
        return self.llg(self.ffn(labels)), graph

    def weights(self, graph: KNNGraph) -> Tensor:
        """The share of channels that each patch wins in ``max_j(l_i - x_j)``: ``[B, S, k]``."""
        assert graph.keys is not None
        return winner_shares(-graph.keys, graph.neighbours)
