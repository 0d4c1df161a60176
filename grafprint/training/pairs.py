"""From crops of music to positive pairs: a clean and a degraded view of the same second."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.degradation.augmentation import Degrade
from grafprint.models.features import FeatureConfig, LogMel, add_positions, count_frames, normalise
from grafprint.training.config import TrainConfig


class Pairs(nn.Module):
    """From crops of music to the two encoder inputs of each pair: clean and degraded.

    The clean view is computed with its context on both sides, as a segment of a reference is.
    The degraded view is cut to one second first, as the only segment of a 1 s query is.

    For an encoder that reads stretches (``stretch`` windows), both views are so long, one a crop,
    and :func:`stretch_views` takes windows of them.
    """

    def __init__(
        self, config: TrainConfig, features: FeatureConfig, degrade: Degrade, stretch: int = 1
    ) -> None:
        super().__init__()
        self.features, self.degrade = features, degrade
        self.frames = count_frames(stretch, features)
        more = self.frames - features.window_frames
        self.length = features.window_samples + more * features.hop_length
        self.logmel = LogMel(features)
        self.cutout, self.band_mask = config.cutout_probability, config.band_mask_probability
        self.offset = round(config.offset_s * features.sample_rate_hz)
        self.past = degrade.config.past_samples
        # On the frame grid, and enough for the first frame to see what the whole recording shows.
        self.margin = math.ceil(features.n_fft / 2 / features.hop_length) * features.hop_length
        self.count = config.segments_per_track if stretch == 1 else 1
        low, high = config.gap_s
        self.gap = round(low * features.sample_rate_hz), round(high * features.sample_rate_hz)

    @property
    def samples(self) -> int:
        """Length of the crops it needs."""
        return self._crop + (self.count - 1) * self.gap[1]

    @property
    def _crop(self) -> int:
        return crop_length(self.length, self.offset, self.past, self.margin)

    @torch.no_grad()
    def forward(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """Crops ``[B, samples]``, one of a track, to inputs ``[2N, 3, 64, 32]``.

        ``N`` is B times ``segments_per_track``; the clean views come first, then the degraded.
        Of stretches there are 2B, and they have more frames.
        """
        f = self.features
        if self.count > 1:
            crops = draw_neighbouring_crops(crops, self.count, self._crop, self.gap, generator)
        clean, shifted = pair_views(
            crops, self.length, self.offset, self.past, self.margin, generator
        )
        skip = self.margin // f.hop_length
        reference = self.logmel(clean)[:, skip : skip + self.frames]
        query = self.logmel(self.degrade(shifted, generator))[:, : self.frames]
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


def stretch_views(
    encoder: Callable[[Tensor], Tensor], inputs: Tensor, count: int, features: FeatureConfig
) -> tuple[Tensor, Tensor]:
    """The views ``a, b [N, dim]`` of ``count`` windows from each stretch of ``inputs [2B, ...]``.

    The windows of the clean stretch have all of it around them, as in a recording. In one half of
    the tracks those of the degraded one have that too, as in a long query; in the other half each
    is cut out and encoded alone, as a query of one second is. Draws from the global generator.
    """
    clean, heard = inputs.chunk(2)
    windows = heard.unfold(3, features.window_frames, features.hop_frames)  # [B, 3, F, m, T]
    tracks = len(clean)
    # In small random steps, the nearest the most frequent: each other's hard negatives.
    last = windows.shape[3] - 1
    longest = max(1, last // max(1, count - 1))
    steps = (longest ** torch.rand(tracks, count - 1)).long()
    places = F.pad(steps.cumsum(dim=1), (1, 0))
    places += (torch.rand(tracks, 1) * (last - places[:, -1:] + 1)).long()
    rows = torch.arange(tracks)[:, None]
    half = tracks // 2
    alone = windows[rows[half:], :, :, places[half:]].flatten(0, 1)
    a = encoder(clean)[rows, places].flatten(0, 1)
    together = encoder(heard[:half])[rows[:half], places[:half]].flatten(0, 1)
    return a, torch.cat([together, encoder(alone)])


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
