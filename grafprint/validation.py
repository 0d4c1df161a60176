"""The hit rate that training watches: degraded one-second queries among held-out tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from grafprint.features import windows

if TYPE_CHECKING:
    from grafprint.data import PcmCache
    from grafprint.encoders import Encoder
    from grafprint.training import Pairs


class Validation:
    """A fixed small search problem, made once from (tracks, seed).

    References are every 96 ms segment of the first ``seconds`` of up to ``tracks`` files; queries
    are random one-second crops of them, degraded as in training. It watches progress and picks
    between settings; :mod:`grafprint.evaluation` measures.
    """

    def __init__(
        self, cache: PcmCache, pairs: Pairs, seed: int, tracks: int = 40, seconds: float = 12.0
    ) -> None:
        length = round(seconds * pairs.features.sample_rate_hz)
        chosen = [i for i in range(len(cache)) if cache.count[i] >= max(length, pairs.samples)]
        if not chosen:
            raise ValueError(f"no validation file lasts {seconds:g} s")
        chosen = chosen[:tracks]
        self.pairs = pairs
        rng = np.random.default_rng(seed)
        self.references, owners = [], []
        crops, self.owner = [], []
        for number in chosen:
            clip = torch.from_numpy(cache.crop(number, 0, length)).to(pairs.logmel.window.device)
            self.references.append(windows(pairs.logmel(clip), pairs.features))
            owners += [number] * len(self.references[-1])
            for _ in range(4):
                start = int(rng.integers(length - pairs.samples + 1))
                crops.append(cache.crop(number, start, pairs.samples))
                self.owner.append(number)
        generator = torch.Generator().manual_seed(seed)
        batch = torch.from_numpy(np.stack(crops)).to(pairs.logmel.window.device)
        self.queries = pairs(batch, generator)[len(batch) :]
        self.reference_owner = torch.tensor(owners)

    @torch.no_grad()
    def hit_rate(self, encoder: Encoder) -> float:
        """Share of queries whose nearest reference segment is of the right track."""
        training = encoder.training
        encoder.eval()
        references = torch.cat([self._encode(encoder, r) for r in self.references])
        nearest = (self._encode(encoder, self.queries) @ references.T).argmax(dim=1).cpu()
        encoder.train(training)
        right = self.reference_owner[nearest] == torch.tensor(self.owner)
        return right.float().mean().item()

    def _encode(self, encoder: Encoder, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16):
            return torch.cat([encoder(part) for part in inputs.split(128)])
