"""Validation of a tagger in training: how well it ranks held-out clips."""

from __future__ import annotations

import torch
from torch import Tensor

from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.features import FeatureConfig
from grafprint.models.taggers import ATGNN, ClipInput
from grafprint.training.data import PcmCache
from grafprint.training.tagging_batches import targets_of
from grafprint.training.tagging_data import ClipSet
from grafprint.training.tagging_metrics import tagging_scores

_BATCH = 24


class TaggingValidation:
    """Mean average precision and d-prime on the beginning of each held-out clip.

    Clips are cut or padded to the length that the network is trained with.
    """

    def __init__(
        self, cache: PcmCache, clips: ClipSet, samples: int, features: FeatureConfig
    ) -> None:
        self.cache, self.samples = cache, samples
        self.targets = targets_of(cache, clips)
        self.inputs = ClipInput(features)

    @torch.no_grad()
    def scores(self, network: ATGNN) -> dict[str, float]:
        """``mAP`` and ``d_prime``."""
        training, device = network.training, next(network.parameters()).device
        network.eval()
        self.inputs.to(device)
        probabilities = []
        for begin in range(0, len(self.cache), _BATCH):
            audio = self._audio(range(begin, min(begin + _BATCH, len(self.cache)))).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=faster_in_bf16(device)):
                logits = network.forward(self.inputs(audio))
            probabilities.append(logits.sigmoid().cpu())
        network.train(training)
        return tagging_scores(torch.cat(probabilities).numpy(), self.targets)

    def _audio(self, numbers: range) -> Tensor:
        audio = torch.zeros(len(numbers), self.samples)
        for row, number in enumerate(numbers):
            part = self.cache.crop(number, 0, min(self.samples, int(self.cache.count[number])))
            audio[row, : len(part)] = torch.from_numpy(part)
        return audio
