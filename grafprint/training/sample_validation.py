"""Validation metrics of sample identification: which held-out song is in a new one?"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from grafprint.audio import SAMPLE_RATE
from grafprint.models.features import windows
from grafprint.training.sample_pairs import SamplePairs, SamplePairsConfig
from grafprint.training.stem_bank import StemBank, StemCrops
from grafprint.training.validation import encode

if TYPE_CHECKING:
    from grafprint.models.encoders import Encoder
    from grafprint.models.features import FeatureConfig

# Fixed, whatever a run trains with, so that runs can be compared.
_PLAIN = SamplePairsConfig(pitch_share=0, stretch_share=0, varispeed_share=0, level_db=6.0)
CHANGES = {
    "plain": _PLAIN,
    "pitch": replace(_PLAIN, pitch_share=1),
    "stretch": replace(_PLAIN, stretch_share=1),
    "varispeed": replace(_PLAIN, varispeed_share=1),
    "loop": replace(_PLAIN, loop_share=1),
}


class SampleValidation:
    """A small fixed retrieval task, the same for runs of any seed.

    References are all segments, one per hop, of the first ``seconds`` of every song. A query is
    one window of a sample of them, changed, under another song of the set, the same ones with each
    change. Half of the samples are of songs with stems, if there are others, too. It serves to
    follow progress and to choose settings.
    """

    def __init__(
        self,
        bank: StemBank,
        features: FeatureConfig,
        device: torch.device,
        seed: int = 0,
        seconds: float = 40.0,
        queries: int = 96,
    ) -> None:
        self.bank, self.features, self.device = bank, features, device
        self.seed, self.seconds, self.steps = seed, seconds, range(queries // 2)
        self.views = {name: SamplePairs(c, features).to(device) for name, c in CHANGES.items()}
        self.drawn = StemCrops(
            bank, 2, self.views["plain"].samples, seed,
            mix_share=1, cross_song_share=1, stem_share=0.5, seconds=seconds,
        )  # fmt: skip

    @cached_property
    def references(self) -> list[tuple[int, Tensor]]:
        """The number and the log-mels of each song."""
        found = []
        for song in self.drawn.usable:
            length = min(self.drawn.length[song], round(self.seconds * SAMPLE_RATE))
            clip = torch.from_numpy(self.bank.total([self.bank.songs[song][0]], 0, length))
            mel = self.views["plain"].logmel(clip.to(self.device))
            found.append((self.bank.recording_of[song], mel))
        return found

    @cached_property
    def songs(self) -> Tensor:
        """The song of each query, and the one that is laid over it, ``[queries, 2]``."""
        return torch.cat([self.drawn.songs(step) for step in self.steps]).to(self.device)

    @cached_property
    def queries(self) -> dict[str, Tensor]:
        """Encoder inputs of the queries, with each change."""
        generators = {name: torch.Generator().manual_seed(self.seed) for name in self.views}
        made: dict[str, list[Tensor]] = {name: [] for name in self.views}
        for step in self.steps:
            crop = self.drawn[step].to(self.device)
            for name, pairs in self.views.items():
                made[name].append(pairs(crop, generators[name]).chunk(2)[1])
        return {name: torch.cat(parts) for name, parts in made.items()}

    @torch.no_grad()
    def scores(self, encoder: Encoder) -> dict[str, float]:
        """Hit rate at 1 (``hit``) and mean average precision (``mAP``); hit rates of each change.

        Songs are ranked by their segment that is nearest to the query. The song that is laid over
        the sample does not take part: it is in the query, too.
        """
        training = encoder.training
        encoder.eval()
        parts = [encode(encoder, windows(mel, self.features)) for _, mel in self.references]
        references = torch.cat(parts)
        counts = torch.tensor([len(part) for part in parts])
        owner = torch.tensor([song for song, _ in self.references]).repeat_interleave(counts)
        owner = owner.to(references.device)
        hits, ranks = {}, []
        for name, queries in self.queries.items():
            similar = encode(encoder, queries).float() @ references.float().T
            best = similar.new_full((len(queries), int(owner.max()) + 1), -torch.inf)
            best.scatter_reduce_(1, owner.expand_as(similar), similar, "amax")
            right, over = self.songs.unbind(1)
            rows = torch.arange(len(best), device=best.device)
            best[rows, over] = -torch.inf
            rank = 1 + (best > best[rows, right][:, None]).sum(dim=1)
            hits[f"hit_{name}"] = (rank == 1).float().mean().item()
            ranks.append(rank)
        encoder.train(training)
        rank = torch.cat(ranks)
        # There is one right song, so the average precision is one by its rank.
        means = {
            "hit": (rank == 1).float().mean().item(),
            "mAP": rank.float().reciprocal().mean().item(),
        }
        return means | hits
