"""Noises and rooms from a folder, or made where there is none."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grafprint.audio.datasets import load_clips
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.degradation.effects import (
    power,
    prepare_rir,
)


def noise_bank(where: str | Path | NoiseBank | None, split: str, made: int, seed: int) -> NoiseBank:
    """The noises of a split (see datasets.py); without a place, ``made`` synthetic ones.

    A bank is returned as it is.

    Raises DataError if none can be read.
    """
    if where is None:
        return NoiseBank(synthetic_noise.noises(made, seed))
    if isinstance(where, NoiseBank):
        return where
    return NoiseBank(*load_clips(where, split))


def room_bank(where: str | Path | RoomBank | None, split: str, made: int, seed: int) -> RoomBank:
    """The room responses of a split (see datasets.py); without a place, ``made`` simulated ones.

    A bank is returned as it is.

    Raises DataError if none can be read.
    """
    if where is None:
        return RoomBank(synthetic_rooms.rooms(made, seed))
    if isinstance(where, RoomBank):
        return where
    return RoomBank(*load_clips(where, split))


QUIET = 1e-8  # mean power (-80 dBFS) below which a noise clip is no noise


class NoiseBank(nn.Module):
    """Recorded noises to draw from: one flat int16 buffer and where each clip lies in it."""

    samples: Tensor
    first: Tensor
    length: Tensor

    def __init__(self, clips: Iterable[np.ndarray], names: Iterable[str] | None = None) -> None:
        """Take float clips ``[n]`` at 16 kHz; silent ones are left out. ValueError if all are.

        ``names`` are theirs in reports; numbers if None.
        """
        super().__init__()
        named = [
            (clip, name)
            for clip, name in zip(clips, names or map(str, itertools.count()), strict=False)
            if len(clip) and float(np.square(clip).mean()) > QUIET
        ]
        if not named:
            raise ValueError("there is no noise clip that is not silent")
        kept, self.names = [clip for clip, _ in named], [name for _, name in named]
        # Each clip at its own peak: the SNR sets the level, and int16 keeps its precision.
        pcm = [np.round(c / np.abs(c).max() * 32767).astype(np.int16) for c in kept]
        lengths = torch.tensor([len(c) for c in pcm])
        self.register_buffer("samples", torch.from_numpy(np.concatenate(pcm)))
        self.register_buffer("length", lengths)
        self.register_buffer("first", lengths.cumsum(0) - lengths)

    def __len__(self) -> int:
        return len(self.length)

    def draw(self, batch: int, n: int, generator: torch.Generator) -> Tensor:
        """Random stretches ``[batch, n]`` of random clips; clips shorter than ``n`` repeat.

        ``generator`` is a CPU generator, so that a seed means the same on every device.
        """
        return self.draw_named(batch, n, generator)[0]

    def draw_named(
        self, batch: int, n: int, generator: torch.Generator
    ) -> tuple[Tensor, list[str]]:
        """As :meth:`draw`, with the names of the clips drawn."""
        device = self.samples.device
        noise = torch.zeros(batch, n, device=device)
        drawn = torch.zeros(batch, dtype=torch.long)
        todo = torch.arange(batch)
        for _ in range(8):  # a clip may hold silent stretches: draw those again
            drawn[todo] = torch.randint(len(self), (len(todo),), generator=generator)
            clip = drawn[todo].to(device)
            where = torch.rand(len(todo), 1, generator=generator).to(device)
            length = self.length[clip, None]
            start = (where * length).long()
            place = (start + torch.arange(n, device=device)) % length
            noise[todo.to(device)] = self.samples[self.first[clip, None] + place].float() / 32768
            todo = (power(noise)[:, 0] <= QUIET).nonzero()[:, 0].cpu()
            if len(todo) == 0:
                break
        return noise, [self.names[number] for number in drawn.tolist()]


class RoomBank(nn.Module):
    """Room responses to draw from, aligned to their direct sound and padded to one length."""

    responses: Tensor

    def __init__(
        self,
        rirs: Iterable[np.ndarray],
        names: Iterable[str] | None = None,
        max_s: float = 2.0,
    ) -> None:
        """Take responses ``[m]`` at 16 kHz. ValueError if there is none or one is silent.

        ``names`` are theirs in reports; numbers if None.
        """
        super().__init__()
        prepared = [torch.from_numpy(prepare_rir(r, max_s)) for r in rirs]
        if not prepared:
            raise ValueError("there is no room response")
        self.names = list(names or map(str, range(len(prepared))))
        padded = nn.utils.rnn.pad_sequence(prepared, batch_first=True)
        self.register_buffer("responses", padded)

    def __len__(self) -> int:
        return len(self.responses)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random responses ``[batch, m]``."""
        return self.draw_named(batch, generator)[0]

    def draw_named(self, batch: int, generator: torch.Generator) -> tuple[Tensor, list[str]]:
        """As :meth:`draw`, with the names of the responses drawn."""
        pick = torch.randint(len(self), (batch,), generator=generator)
        drawn = self.responses[pick.to(self.responses.device)]
        return drawn, [self.names[number] for number in pick.tolist()]
