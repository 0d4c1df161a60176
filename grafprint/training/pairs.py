"""Positive pairs from crops of music: a clean and a degraded view of the same second."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.degradation.augmentation import Degrade
from grafprint.models.features import FeatureConfig, LogMel, add_positions, normalise
from grafprint.training.config import TrainConfig


class Pairs(nn.Module):
    """Compute the two encoder inputs of each pair, clean and degraded, from crops of music.

    The spectrogram of the clean view includes context on both sides, like a segment of a reference.
    The degraded view is cut to one second first, like a query of 1 s.
    """

    def __init__(self, config: TrainConfig, features: FeatureConfig, degrade: Degrade) -> None:
        super().__init__()
        self.features, self.degrade = features, degrade
        self.logmel = LogMel(features)
        self.cutout, self.band_mask = config.cutout_probability, config.band_mask_probability
        self.offset = round(config.offset_s * features.sample_rate_hz)
        self.past = degrade.config.past_samples
        # A multiple of the hop, and enough for frames to equal those of the whole recording.
        self.margin = math.ceil(features.n_fft / 2 / features.hop_length) * features.hop_length
        self.count = config.segments_per_track
        low, high = config.gap_s
        self.gap = round(low * features.sample_rate_hz), round(high * features.sample_rate_hz)

    @property
    def samples(self) -> int:
        """Required length of the crops."""
        return self._crop + (self.count - 1) * self.gap[1]

    @property
    def _crop(self) -> int:
        return crop_length(self.features.window_samples, self.offset, self.past, self.margin)

    @torch.no_grad()
    def forward(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """Encoder inputs ``[2N, 3, 64, 32]`` from crops ``[B, samples]``, one per track.

        ``N`` is B times ``segments_per_track``; clean views come first, then degraded ones.
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
        segments = normalise(torch.cat([reference, query]).transpose(1, 2), f)
        if self.cutout or self.band_mask:
            rows = slice(len(reference), None)
            segments[rows] = mask(segments[rows], self.cutout, self.band_mask, generator)
        return add_positions(segments)


def mask(segments: Tensor, cutout: float, band_mask: float, generator: torch.Generator) -> Tensor:
    """Erase parts of normalised spectrograms ``[B, F, T]``: set them to 0, the floor.

    With the probability ``cutout`` a rectangle of up to half of either side; with ``band_mask``
    up to a quarter of the bins from below, and as many from above.
    """
    batch, bins, frames = segments.shape
    drawn = torch.rand(batch, 8, 1, generator=generator).to(segments.device)
    bin_ = torch.arange(bins, device=segments.device) / bins
    time = torch.arange(frames, device=segments.device) / frames
    low, begin = drawn[:, 1] * (1 - drawn[:, 2] / 2), drawn[:, 3] * (1 - drawn[:, 4] / 2)
    rectangle = ((bin_ >= low) & (bin_ < low + drawn[:, 2] / 2))[:, :, None] & (
        (time >= begin) & (time < begin + drawn[:, 4] / 2)
    )[:, None, :]
    outside = (bin_ < drawn[:, 6] / 4) | (bin_ >= 1 - drawn[:, 7] / 4)
    erased = (rectangle & (drawn[:, :1] < cutout)) | (
        outside[:, :, None] & (drawn[:, 5:6] < band_mask)
    )
    return segments.masked_fill(erased, 0.0)


def pair_views(
    audio: Tensor, segment: int, offset: int, past: int, margin: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut the clean and the shifted view of each crop, before any degradation.

    Args:
        audio: crops ``[B, past + offset + segment + max(offset, margin)]`` of music.
        segment: length of a segment in samples; ``offset``: largest shift, either way.
        past: samples before the segment in the shifted view, for the reverb.
        margin: samples of context on each side of the clean view (``<= past + offset``).

    Returns:
        ``clean [B, margin + segment + margin]`` and ``shifted [B, past + segment]``, whose
        segment starts ``-offset..offset`` samples from the clean one's.
    """
    start = past + offset
    clean = audio[:, start - margin : start + segment + margin]
    shift = torch.randint(-offset, offset + 1, (len(audio), 1), generator=generator)
    index = offset + torch.arange(past + segment, device=audio.device)
    return clean, audio.gather(1, shift.to(audio.device) + index)


def crop_length(segment: int, offset: int, past: int, margin: int) -> int:
    """Length of the crops that :func:`pair_views` needs, in samples."""
    return past + offset + segment + max(offset, margin)


def draw_neighbouring_crops(
    audio: Tensor, count: int, length: int, gap: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw ``count`` crops of ``length`` samples from each track, small random steps apart.

    The crops of a track are hard negatives of each other: the same sounds at another time. The
    steps are log-uniform in ``gap`` (samples), so that near, and therefore hard, ones are frequent.
    ``audio [B, length + (count - 1) * gap[1]]`` gives ``[B * count, length]``.
    """
    low, high = gap
    steps = low * (high / low) ** torch.rand(len(audio), count - 1, generator=generator)
    starts = F.pad(steps.long().cumsum(dim=1), (1, 0)).to(audio.device)
    index = starts[:, :, None] + torch.arange(length, device=audio.device)
    return audio[:, None, :].expand(-1, count, -1).gather(2, index).flatten(0, 1)
