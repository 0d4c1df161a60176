"""Whether one segment was made of another: cross-attention between their nodes.

From *Refining Music Sample Identification with a Self-Supervised Graph Neural Network* (ISMIR
2025): one layer of attention with four heads, then 512 -> 128 -> 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class CrossAttentionConfig:
    """Dimensions: ``nodes_width`` is the C of the encoder's nodes."""

    nodes_width: int = 384
    width: int = 512
    heads: int = 4
    hidden_width: int = 128


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the network says about pairs.

    ``logits [n]``; ``attention [n, heads, N, M]``, rows that sum to 1: how much each node of the
    query looks at each node of the reference.
    """

    logits: Tensor
    attention: Tensor

    @property
    def probability(self) -> Tensor:
        """The probability ``[n]`` that the query's segment samples the reference's."""
        return self.logits.float().sigmoid()

    def loss(self, sampled: Tensor) -> Tensor:
        """Binary cross-entropy, ``sampled [n]`` 0 or 1."""
        return F.binary_cross_entropy_with_logits(self.logits.float(), sampled.float())


class CrossAttention(nn.Module):
    """Nodes of a query ``[n, N, C]`` and of a reference ``[n, M, C]`` to a :class:`Judgement`.

    Attention brings to each node of the query what it resembles in the reference. The classifier
    sees how far both agree, channel by channel: the mean over nodes of their product, of which the
    sum is a similarity. It learns on nodes of a frozen encoder.
    """

    def __init__(self, config: CrossAttentionConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or CrossAttentionConfig()
        # What all nodes have in common would make all of them alike.
        self.centre = nn.BatchNorm1d(c.nodes_width, affine=False)
        self.enter = nn.Linear(c.nodes_width, c.width)
        self.attention = nn.MultiheadAttention(c.width, c.heads, batch_first=True)
        self.norm = nn.LayerNorm(c.width)
        self.classify = nn.Sequential(
            nn.Linear(c.width, c.hidden_width), nn.ReLU(), nn.Linear(c.hidden_width, 1)
        )
        self._begin_with_similarity()

    def _begin_with_similarity(self) -> None:
        """Begin with attention to nodes that are alike, which brings them as they are.

        From random weights, attention is even, and hundreds of steps teach it nothing.
        """
        with torch.no_grad():
            queries, keys, values = self.attention.in_proj_weight.chunk(3)
            keys.copy_(queries)
            nn.init.eye_(values)
            nn.init.eye_(self.attention.out_proj.weight)

    def forward(self, query: Tensor, reference: Tensor) -> Judgement:
        """Judge ``n`` pairs of segments."""
        asked, offered = (self.enter(self._centred(x)) for x in (query, reference))
        brought, weights = self.attention(
            asked, offered, offered, need_weights=True, average_attn_weights=False
        )
        agreement = (self.norm(asked) * self.norm(brought)).mean(dim=1)
        return Judgement(self.classify(agreement)[:, 0], weights)

    def _centred(self, nodes: Tensor) -> Tensor:
        # Unit length first: how loud a node is says nothing about where it comes from.
        centred: Tensor = self.centre(F.normalize(nodes, dim=-1).flatten(0, 1))
        return centred.view_as(nodes)


def choose_negatives(
    queries: Tensor,
    references: Tensor,
    songs: Tensor,
    generator: torch.Generator,
    among: int = 8,
    owners: Tensor | None = None,
) -> Tensor:
    """For each query, the number of a reference that it resembles but does not sample: ``[n]``.

    One of the ``among`` most similar is drawn, evenly in octaves of its rank: the nearest are the
    hardest, but in use a re-ranker is asked about others, too. References of a song that the
    query's row belongs to are never chosen, so no true positive is among the negatives, and row
    ``i`` of the result goes with row ``i`` of the queries.

    Args:
        queries: fingerprints ``[n, dim]``.
        references: fingerprints ``[n, dim]``; row ``i`` is what query ``i`` samples. With
            ``owners``: any, ``[m, dim]``.
        songs: ``[n, s]``: numbers of the songs that are in row ``i``, the first of them in its
            reference, the others in its query only (the overlay); -1 for none.
        owners: ``[m]``, the song of each reference; None: the first of ``songs``.

    Raises:
        ValueError: if all references are of songs in a query.
    """
    owner = songs[:, 0] if owners is None else owners
    known = (owner[None, :, None] == songs[:, None, :]).any(dim=2)
    if bool(known.all(dim=1).any()):
        raise ValueError("a query has no reference of another song in this batch")
    likeness = (queries @ references.T).float().masked_fill(known, -torch.inf)
    best = likeness.topk(min(among, len(references)), dim=1)
    usable = best.values.isfinite().sum(dim=1)
    drawn = torch.rand(len(queries), generator=generator).to(usable.device)
    place = ((usable + 1) ** drawn).long().clamp_max(usable) - 1
    return best.indices.gather(1, place[:, None])[:, 0]
