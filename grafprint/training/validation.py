"""What training watches: degraded one-second queries among held-out tracks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.models.chunking import reading
from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.features import add_positions, normalise

if TYPE_CHECKING:
    from grafprint.models.encoders import Encoder
    from grafprint.training.data import PcmCache
    from grafprint.training.pairs import Pairs

# The conditions are fixed, whatever a run trains with, so that runs can be compared.
_PLAIN = DegradeConfig(snr_db=(0.0, 10.0), noise_probability=1.0, reverb_probability=0.0)
CONDITIONS = {
    "noise": _PLAIN,
    "reverb": replace(_PLAIN, reverb_probability=1.0),
    "life": replace(
        _PLAIN,
        reverb_probability=0.75,
        colour_probability=1.0,
        clip_probability=0.2,
        codec_probability=0.2,
    ),
}
TOLERANCE_S = 0.05


class Validation:
    """A fixed small search problem, made from (tracks, seed); the same for runs of any seed.

    References are the segments, one a hop, of the first ``seconds`` of up to ``tracks`` files;
    queries are random one-second crops of them, degraded alone, the same crops in every condition.
    It watches progress and picks between settings; :mod:`grafprint.evaluation` measures.
    """

    def __init__(
        self,
        cache: PcmCache,
        pairs: Pairs,
        seed: int = 0,
        tracks: int = 50,
        seconds: float = 12.0,
        queries: int = 12,
    ) -> None:
        f = self.features = pairs.features
        device = pairs.logmel.window.device
        length = round(seconds * f.sample_rate_hz)
        shortest = pairs.past + f.window_samples
        chosen = [i for i in range(len(cache)) if cache.count[i] >= max(length, shortest)]
        if not chosen:
            raise ValueError(f"no validation file lasts {seconds:g} s")
        rng = np.random.default_rng(seed)
        self.references: list[Tensor] = []  # log-mels: their windows would take ten times as much
        crops, owner, time_s = [], [], []
        for place, number in enumerate(chosen[:tracks]):
            clip = torch.from_numpy(cache.crop(number, 0, length)).to(device)
            self.references.append(pairs.logmel(clip))
            for _ in range(queries):
                start = int(rng.integers(length - shortest + 1))
                crops.append(cache.crop(number, start, shortest))
                owner.append(place)
                time_s.append((start + pairs.past) / f.sample_rate_hz)
        self.owner, self.time_s = torch.tensor(owner), torch.tensor(time_s)
        music = torch.from_numpy(np.stack(crops)).to(device)
        self.queries = {}
        for name, condition in CONDITIONS.items():
            condition = replace(condition, past_s=pairs.degrade.config.past_s)
            degrade = Degrade(condition, pairs.degrade.noises, pairs.degrade.rooms).to(device)
            heard = degrade(music, torch.Generator().manual_seed(seed))
            segments = pairs.logmel(heard)[:, : f.window_frames].transpose(1, 2)
            self.queries[name] = add_positions(normalise(segments, f))

    @torch.no_grad()
    def scores(self, encoder: Encoder) -> dict[str, float]:
        """Shares of queries, by condition, whose nearest reference segment is right.

        ``noise``, ``reverb`` and ``life`` ask for the right track within 50 ms of the right time,
        ``noise_track`` and so on for the right track alone.
        """
        training, f = encoder.training, self.features
        encoder.eval()
        parts = [self._encode(encoder, reading(encoder, mel, f)) for mel in self.references]
        references = torch.cat(parts)
        owner = torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])
        time_s = torch.cat([torch.arange(len(p)) * self.features.hop_s for p in parts])
        result = {}
        for name, queries in self.queries.items():
            nearest = (self._encode(encoder, queries) @ references.T).argmax(dim=1).cpu()
            right = owner[nearest] == self.owner
            near = (time_s[nearest] - self.time_s).abs() <= TOLERANCE_S
            result[name] = (right & near).float().mean().item()
            result[f"{name}_track"] = right.float().mean().item()
        encoder.train(training)
        return result

    def _encode(self, encoder: Encoder, inputs: Tensor) -> Tensor:
        # The plain method: a compiled network would be compiled anew for each size of a batch.
        enabled = faster_in_bf16(inputs.device)
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=enabled):
            return torch.cat([encoder.forward(part).flatten(0, -2) for part in inputs.split(128)])
