"""Validation metrics: retrieval of degraded 1 s queries among held-out tracks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from grafprint.degradation.augmentation import Degrade, DegradeConfig
from grafprint.errors import DataError
from grafprint.models.fast.precision import faster_in_bf16
from grafprint.models.features import add_positions, normalise, windows

if TYPE_CHECKING:
    from grafprint.models.encoders import Encoder
    from grafprint.training.data import PcmCache
    from grafprint.training.pairs import Pairs

# Fixed, whatever a run trains with, so that runs can be compared.
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
    """A small fixed retrieval task, the same for runs of any seed.

    References are all segments, one per hop, of the first ``seconds`` of up to ``tracks`` files.
    Queries are random one-second crops of them, degraded alone, the same crops in each condition.
    It serves to follow progress and to choose settings; for figures to report, use
    :mod:`grafprint.evaluation`.
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
            raise DataError(f"no validation file lasts {seconds:g} s")
        rng = np.random.default_rng(seed)
        self.references: list[Tensor] = []  # log-mels: windows would take ten times the memory
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
            degraded = degrade(music, torch.Generator().manual_seed(seed))
            segments = pairs.logmel(degraded)[:, : f.window_frames].transpose(1, 2)
            self.queries[name] = add_positions(normalise(segments, f))

    @torch.no_grad()
    def scores(self, encoder: Encoder) -> dict[str, float]:
        """Hit rate in each condition, by the nearest reference segment of each query.

        For ``noise``, ``reverb`` and ``life``, a hit is the right track within 50 ms of the right
        time; for ``noise_track`` and so on, the right track.
        """
        training, f = encoder.training, self.features
        encoder.eval()
        parts = [encode(encoder, windows(mel, f)) for mel in self.references]
        references = torch.cat(parts)
        owner = torch.cat([torch.full((len(p),), i) for i, p in enumerate(parts)])
        time_s = torch.cat([torch.arange(len(p)) * self.features.hop_s for p in parts])
        result = {}
        for name, queries in self.queries.items():
            nearest = (encode(encoder, queries) @ references.T).argmax(dim=1).cpu()
            right = owner[nearest] == self.owner
            near = (time_s[nearest] - self.time_s).abs() <= TOLERANCE_S
            result[name] = (right & near).float().mean().item()
            result[f"{name}_track"] = right.float().mean().item()
        encoder.train(training)
        return result


def encode(encoder: Encoder, inputs: Tensor) -> Tensor:
    """Fingerprints of inputs, a few at a time."""
    # Not the compiled network: it would be compiled again for each batch size.
    enabled = faster_in_bf16(inputs.device)
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=enabled):
        return torch.cat([encoder.forward(part) for part in inputs.split(128)])
