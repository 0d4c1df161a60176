"""Validation of a re-ranker in training: does it tell samples from what only sounds alike?"""

from __future__ import annotations

import numpy as np
import torch

from grafprint.models.rerankers import CrossAttention
from grafprint.models.rerankers.cross_attention import choose_negatives
from grafprint.models.rerankers.scoring import LEAST
from grafprint.training.reranking_data import NodePairs, PairMaker
from grafprint.training.tagging_metrics import roc_auc

_AMONG = 4  # a negative is one of the most similar references
_TOGETHER = 64  # pairs


class RerankingValidation:
    """Pairs of held-out songs, computed once: as the encoder is frozen, so are their nodes."""

    def __init__(self, maker: PairMaker, queries: int = 96) -> None:
        steps = range(max(1, -(-queries // maker.crops.batch)))
        made = [maker(step) for step in steps]
        fields = ("references", "queries", "reference_prints", "query_prints", "songs")
        self.pairs = NodePairs(*(torch.cat([getattr(p, name) for p in made]) for name in fields))
        generator = torch.Generator().manual_seed(0)
        self.negatives = choose_negatives(
            self.pairs.query_prints,
            self.pairs.reference_prints,
            self.pairs.songs,
            generator,
            _AMONG,
        )

    @torch.no_grad()
    def scores(self, network: CrossAttention) -> dict[str, float]:
        """``AUROC`` of samples against negatives, and which share of each reaches the least one.

        ``found`` of the samples, ``false_accepts`` of the negatives; ``similarity_AUROC`` is what
        the fingerprints alone give.
        """
        p, training = self.pairs, network.training
        network.eval()
        right = self._judge(network, torch.arange(len(p.queries)))
        wrong = self._judge(network, self.negatives)
        network.train(training)
        alike = [(p.query_prints * x).sum(dim=1).numpy()
                 for x in (p.reference_prints, p.reference_prints[self.negatives])]  # fmt: skip
        is_sample = np.repeat([True, False], len(right))
        return {
            "AUROC": roc_auc(np.concatenate([right, wrong]), is_sample),
            "similarity_AUROC": roc_auc(np.concatenate(alike), is_sample),
            "found": float((right >= LEAST).mean()),
            "false_accepts": float((wrong >= LEAST).mean()),
        }

    def _judge(self, network: CrossAttention, references: torch.Tensor) -> np.ndarray:
        device = next(network.parameters()).device
        parts = []
        for query, chosen in zip(
            self.pairs.queries.split(_TOGETHER), references.split(_TOGETHER), strict=True
        ):
            offered = self.pairs.references[chosen]
            parts.append(network(query.to(device), offered.to(device)).probability.cpu().numpy())
        return np.concatenate(parts)
