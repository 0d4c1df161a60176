"""From crops of music to positive pairs: a clean and a degraded view of the same second."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from grafprint.augment import Degrade, crop_length, neighbouring, pair_views
from grafprint.features import FeatureConfig, LogMel, add_positions, normalise
from grafprint.recipe import TrainConfig


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
            crops = neighbouring(crops, self.count, self._crop, self.gap, generator)
        clean, shifted = pair_views(
            crops, f.window_samples, self.offset, self.past, self.margin, generator
        )
        skip = self.margin // f.hop_length
        reference = self.logmel(clean)[:, skip : skip + f.window_frames]
        query = self.logmel(self.degrade(shifted, generator))[:, : f.window_frames]
        segments = torch.cat([reference, query]).transpose(1, 2)
        return add_positions(normalise(segments, f))
