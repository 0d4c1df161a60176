"""From crops of music to positive pairs: a clean and a degraded view of the same second."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.degradation.augmentation import Degrade
from grafprint.models.features import FeatureConfig, LogMel, add_positions, normalise
from grafprint.training.config import TrainConfig


class Pairs(nn.Module):
    """From crops of music to the two encoder inputs of each pair: clean and degraded.

    The clean view is computed with its context on both sides, as a segment of a reference is.
    The degraded view is cut to one second first, as the only segment of a 1 s query is.
    """

    def __init__(self, config: TrainConfig, features: FeatureConfig, degrade: Degrade) -> None:
        super().__init__()
        self.features, self.degrade = features, degrade
        self.logmel = LogMel(features)
        self.offset = round(config.offset_s * features.sample_rate_hz)
        self.past = degrade.config.past_samples
        # On the frame grid, and enough for the first frame to see what the whole recording shows.
        self.margin = math.ceil(features.n_fft / 2 / features.hop_length) * features.hop_length
        self.count = config.segments_per_track
        low, high = config.gap_s
        self.gap = round(low * features.sample_rate_hz), round(high * features.sample_rate_hz)

    @property
    def samples(self) -> int:
        """Length of the crops it needs."""
        return self._crop + (self.count - 1) * self.gap[1]

    @property
    def _crop(self) -> int:
        return crop_length(self.features.window_samples, self.offset, self.past, self.margin)

    @torch.no_grad()
    def forward(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """Crops ``[B, samples]``, one of a track, to inputs ``[2N, 3, 64, 32]``.

        ``N`` is B times ``segments_per_track``; the clean views come first, then the degraded.
        """
        f = self.features
        if self.count > 1:
            crops = draw_neighbouring_crops(crops, self.count, self._crop, self.gap, generator)
        clean, shifted = pair_views(
            crops, f.window_samples, self.offset, self.past, self.margin, generator
        )
        skip = self.margin // f.hop_length
        reference = self.logmel(clean)[:, skip : skip + f.window_frames]
        query = self.logmel(self.degrade(shifted, generator))[:, : f.window_frames]
        segments = torch.cat([reference, query]).transpose(1, 2)
        return add_positions(normalise(segments, f))


def pair_views(
    audio: Tensor, segment: int, offset: int, past: int, margin: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Time offset: the clean and the shifted view of each crop, not yet degraded.

    Args:
        audio: crops ``[B, past + offset + segment + max(offset, margin)]`` of music.
        segment: samples of a segment; ``offset``: largest shift either way, in samples.
        past: samples of music the shifted view keeps before its segment, for the reverb.
        margin: samples of context the clean view keeps on either side (``<= past + offset``).

    Returns:
        ``clean [B, margin + segment + margin]`` and ``shifted [B, past + segment]``, whose
        segment begins ``-offset..offset`` samples from the clean one's.
    """
    start = past + offset
    clean = audio[:, start - margin : start + segment + margin]
    shift = torch.randint(-offset, offset + 1, (len(audio), 1), generator=generator)
    moment = offset + torch.arange(past + segment, device=audio.device)
    return clean, audio.gather(1, shift.to(audio.device) + moment)


def crop_length(segment: int, offset: int, past: int, margin: int) -> int:
    """Samples that :func:`pair_views` needs of every crop."""
    return past + offset + segment + max(offset, margin)


def draw_neighbouring_crops(
    audio: Tensor, count: int, length: int, gap: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """``count`` crops of ``length`` samples from each stretch of music, in random small steps.

    The crops of one stretch are each other's hard negatives: the same sounds at another time.
    Steps between them are log-uniform in ``gap`` (samples), so the nearest, hardest ones are
    frequent. ``audio [B, length + (count - 1) * gap[1]]`` gives ``[B * count, length]``.
    """
    low, high = gap
    steps = low * (high / low) ** torch.rand(len(audio), count - 1, generator=generator)
    starts = F.pad(steps.long().cumsum(dim=1), (1, 0)).to(audio.device)
    place = starts[:, :, None] + torch.arange(length, device=audio.device)
    whole = audio[:, None, :].expand(-1, count, -1)
    return whole.gather(2, place).flatten(0, 1)
