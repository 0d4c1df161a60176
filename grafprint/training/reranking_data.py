"""What a re-ranker learns from: nodes of songs and of others that sample them, and of earlier ones.

The encoder is frozen, so nodes can be computed ahead, and those of earlier steps stay right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import GraFPrint
from grafprint.models.rerankers.cross_attention import choose_negatives
from grafprint.training.reranking_config import RerankingConfig
from grafprint.training.run import torch_seed
from grafprint.training.sample_pairs import SamplePairs
from grafprint.training.stem_bank import StemCrops


@dataclass(frozen=True, eq=False)
class NodePairs:
    """Nodes ``[n, N, C]`` of references and of queries that sample them, and their fingerprints.

    ``songs [n, 2]``: numbers of the song of the reference, and of what is laid over its sample (-1:
    other stems of the same song).
    """

    references: Tensor
    queries: Tensor
    reference_prints: Tensor
    query_prints: Tensor
    songs: Tensor


class PairMaker:
    """Computes the :class:`NodePairs` of a step, a pure function of its number."""

    def __init__(
        self, fingerprinter: Fingerprinter, crops: StemCrops, pairs: SamplePairs, seed: int
    ) -> None:
        self.fingerprinter, self.crops, self.pairs, self.seed = fingerprinter, crops, pairs, seed

    def __call__(self, step: int) -> NodePairs:
        """The pairs of a step."""
        generator = torch.Generator().manual_seed(torch_seed(self.seed, step))
        inputs = self.pairs(self.crops[step], generator)
        nodes = self.fingerprinter.nodes(inputs)
        encoder = cast(GraFPrint, self.fingerprinter.encoder)
        with torch.no_grad():
            prints = encoder.fingerprints_of(nodes.to(self.fingerprinter.device)).cpu()
        # As they are kept in use.
        references, queries = nodes.half().float().chunk(2)
        clean, sampling = prints.chunk(2)
        return NodePairs(references, queries, clean, sampling, self.crops.songs(step))


class Memory:
    """The references of the last steps, among which negatives are found; a ring of ``size``."""

    def __init__(self, size: int, nodes: tuple[int, int], dim: int) -> None:
        self.nodes = torch.zeros(size, *nodes, dtype=torch.float16)
        self.prints = torch.zeros(size, dim)
        self.owners = torch.full((size,), -1)

    def tensors(self) -> dict[str, Tensor]:
        """What a run must save."""
        return {"nodes": self.nodes, "prints": self.prints, "owners": self.owners}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave; KeyError or RuntimeError if it does not fit."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])

    def put(self, step: int, pairs: NodePairs) -> None:
        """Keep a step's references, in place of the oldest."""
        if not len(self.owners):
            return
        count = len(pairs.songs)
        place = (step * count + torch.arange(count)) % len(self.owners)
        self.nodes[place] = pairs.references.half()
        self.prints[place] = pairs.reference_prints
        self.owners[place] = pairs.songs[:, 0]


def draw_negatives(
    pairs: NodePairs, memory: Memory, config: RerankingConfig, generator: torch.Generator
) -> Tensor:
    """Nodes ``[n * negatives, N, C]`` of references that queries resemble but do not sample.

    Row ``i`` is for query ``i % n``. They are of this step or of the memory.
    """
    filled = (memory.owners >= 0).nonzero()[:, 0]
    prints = torch.cat([pairs.reference_prints, memory.prints[filled]])
    owners = torch.cat([pairs.songs[:, 0], memory.owners[filled]])
    chosen = [
        choose_negatives(
            pairs.query_prints, prints, pairs.songs, generator, config.among, owners=owners
        )
        for _ in range(config.negatives)
    ]
    number = torch.cat(chosen)
    kept = number >= len(pairs.songs)
    nodes = pairs.references[number.masked_fill(kept, 0)]
    nodes[kept] = memory.nodes[filled[number[kept] - len(pairs.songs)]].float()
    return nodes
