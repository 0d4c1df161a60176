"""Batches for training a tagger: which clips, cut or padded, mixed, and masked.

Every draw follows from (seed, step, rank), so that a resumed run sees the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grafprint.errors import DataError
from grafprint.training.data import PcmCache
from grafprint.training.tagging_data import ClipSet

# Of the Beta distribution from which the share of a mixed clip is drawn (PSLA): mostly near half.
_MIXUP_BETA = 10.0


@dataclass
class Clips:
    """Audio ``[B, samples]`` at 16 kHz and targets ``[B, S]``, NaN where nothing is known.

    It is not frozen because Fabric moves the tensors to the device by assignment.
    """

    audio: Tensor
    targets: Tensor


class TaggingBatches(Dataset[Clips]):
    """The batch of every training step; item ``step`` is a function of (seed, rank, step).

    With ``balanced`` each epoch draws as many clips as there are, by :func:`balanced_weights`;
    otherwise it has all of them in a new random order. ``mixup`` is the share of clips that are
    mixed with another one.
    """

    def __init__(
        self,
        cache: PcmCache,
        clips: ClipSet,
        batch: int,
        samples: int,
        seed: int,
        *,
        balanced: bool = False,
        mixup: float = 0.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.cache, self.batch, self.samples, self.seed = cache, batch, samples, seed
        self.mixup, self.rank, self.world = mixup, rank, world
        self.targets = targets_of(cache, clips)
        if len(self.targets) < batch * world:
            raise DataError(
                f"a batch of {batch * world} needs as many clips; there are {len(self.targets)}. "
                "Choose a smaller --batch or add clips."
            )
        self.steps_per_epoch = len(self.targets) // (batch * world)
        self.weights = balanced_weights(self.targets) if balanced else None

    def __getitem__(self, step: int) -> Clips:
        begin = (step % self.steps_per_epoch * self.world + self.rank) * self.batch
        numbers = self._order(step // self.steps_per_epoch)[begin : begin + self.batch]
        rng = np.random.default_rng([self.seed, step, self.rank, 1])
        audio = np.stack([crop(self.cache, int(n), self.samples, rng) for n in numbers])
        targets = self.targets[numbers]
        for row in np.nonzero(rng.random(self.batch) < self.mixup)[0]:
            other = int(rng.integers(len(self.targets)))
            share = np.float32(rng.beta(_MIXUP_BETA, _MIXUP_BETA))
            audio[row] = mix(audio[row], crop(self.cache, other, self.samples, rng), share)
            targets[row] = mix(targets[row], self.targets[other], share)
        return Clips(torch.from_numpy(audio), torch.from_numpy(targets))

    def _order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        count = len(self.targets)
        if self.weights is None:
            return rng.permutation(count)
        return rng.choice(count, count, p=self.weights)


def targets_of(cache: PcmCache, clips: ClipSet) -> np.ndarray:
    """The targets of the clips that could be decoded, in the order of the cache: ``[n, S]``."""
    row_of = {file.path: row for row, file in enumerate(clips.files)}
    return clips.targets[[row_of[file.path] for file in cache.sources]]


def balanced_weights(targets: np.ndarray) -> np.ndarray:
    """How often to draw each clip, ``[n]``, sum 1: the sum of ``1 / count`` of its labels (PSLA).

    Clips without any label are drawn like those of the most frequent one.
    """
    known = np.nan_to_num(targets)
    counts = known.sum(axis=0, dtype=np.float64)
    per_label = np.divide(1, counts, out=np.zeros_like(counts), where=counts > 0)
    weights = known @ per_label
    least = per_label[per_label > 0].min(initial=1.0)
    weights = np.where(weights > 0, weights, least)
    return np.asarray(weights / weights.sum())


def crop(cache: PcmCache, number: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """A random part of a clip, or the whole clip with silence after it: ``[samples]``."""
    count = int(cache.count[number])
    start = int(rng.integers(max(0, count - samples) + 1))
    part = cache.crop(number, start, min(samples, count))
    return np.pad(part, (0, samples - len(part)))


def mix(a: np.ndarray, b: np.ndarray, share: np.float32) -> np.ndarray:
    """``share * a + (1 - share) * b``: mixup (Zhang et al., 2017), of audio or targets."""
    return np.asarray(share * a + (1 - share) * b)


def mask(inputs: Tensor, frequency: float, time: float, generator: torch.Generator) -> Tensor:
    """Silence a band and a moment of each spectrogram ``[B, F, T]`` (SpecAugment).

    Their sizes are uniform up to the shares ``frequency`` of the bins and ``time`` of the frames,
    their places uniform.
    """
    for axis, share in ((1, frequency), (2, time)):
        size = inputs.shape[axis]
        drawn = torch.rand(2, len(inputs), 1, generator=generator).to(inputs.device)
        width = (drawn[0] * (round(share * size) + 1)).floor().clamp_max(size)
        begin = (drawn[1] * (size - width + 1)).floor()
        index = torch.arange(size, device=inputs.device)
        masked = (index >= begin) & (index < begin + width)  # [B, size]
        inputs = inputs.masked_fill(masked[:, :, None] if axis == 1 else masked[:, None], 0.0)
    return inputs
