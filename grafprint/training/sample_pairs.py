"""Positive pairs for sample identification: a place in a song, and a new song that samples it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grafprint.degradation.effects import mix_at_snr
from grafprint.degradation.musical import change_pitch_and_tempo, compress, filter_band
from grafprint.models.features import FeatureConfig, LogMel, add_positions, normalise


@dataclass(frozen=True)
class SamplePairsConfig:
    """What happens to a sample; shares are probabilities, of the kinds of change they sum to 1."""

    semitones: float = 3.0  # at most, either way
    speed: tuple[float, float] = (0.7, 1.5)
    pitch_share: float = 0.25  # pitch alone
    stretch_share: float = 0.25  # tempo alone
    varispeed_share: float = 0.35  # both, as a turntable does; the rest stays as it is
    filter_share: float = 0.6
    compression_share: float = 0.3
    level_db: float = 10.0  # at most, either way, of the sample against what is laid over it
    offset_s: float = 0.25  # between the middles of both views, at most
    loop_share: float = 0.0  # samples that come round again before and after their middle
    loop_s: tuple[float, float] = (1.0, 4.0)  # of the song; evenly in octaves


class SamplePairs(nn.Module):
    """Compute the two encoder inputs of each pair from crops of stems."""

    def __init__(self, config: SamplePairsConfig, features: FeatureConfig) -> None:
        super().__init__()
        self.config, self.features = config, features
        self.logmel = LogMel(features)
        self.offset = round(config.offset_s * features.sample_rate_hz)
        # A multiple of the hop, and enough for frames to equal those of the whole recording.
        self.margin = math.ceil(features.n_fft / 2 / features.hop_length) * features.hop_length

    @property
    def samples(self) -> int:
        """Required length of the crops; the reference is in their middle."""
        longest = max(self.config.speed[1], 2 ** (self.config.semitones / 12))
        window = self.features.window_samples
        return math.ceil(longest * window) + 2 * (self.offset + self.margin) + self.features.n_fft

    @torch.no_grad()
    def forward(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """Encoder inputs ``[2B, 3, F, T]`` of ``crops [B, 3, samples]``, references first.

        The crops hold reference, sample and overlay (:class:`StemCrops`). Only the sample is
        changed in pitch and tempo; sample and overlay each get filters and compression of their
        own, as they come from different records.
        """
        f = self.features
        reference, sample, overlay = crops.unbind(1)
        semitones, speed = self.draw_changes(len(crops), generator)
        semitones, speed = semitones.to(crops.device), speed.to(crops.device)
        middle, window = crops.shape[2] // 2, f.window_samples
        begin = middle - window // 2 - self.margin
        clean = reference[:, begin : begin + window + 2 * self.margin]
        # The middle of the changed sample is that of the reference, give or take the offset.
        shift = torch.randint(-self.offset, self.offset + 1, (len(crops),), generator=generator)
        middles = middle + shift.to(crops.device)
        first = middles - (speed * window / 2).long()
        length = math.ceil(window * self.config.speed[1]) + f.n_fft
        index = first[:, None] + torch.arange(length, device=crops.device)
        if self.config.loop_share:
            index = self.draw_loops(index, middles, crops.shape[2], generator)
        inside = (index >= 0) & (index < crops.shape[2])
        source = sample.gather(1, index.clamp(0, crops.shape[2] - 1)) * inside
        changed = change_pitch_and_tempo(source, semitones, speed, window)
        changed = self._treat(changed, generator)
        over = self._treat(overlay[:, begin : begin + window], generator)
        level_db = self.config.level_db * (2 * torch.rand(len(crops), generator=generator) - 1)
        query = mix_at_snr(changed, over, level_db.to(crops.device))
        skip = self.margin // f.hop_length
        heard = self.logmel(clean)[:, skip : skip + f.window_frames]
        mels = torch.cat([heard, self.logmel(query)[:, : f.window_frames]])
        return add_positions(normalise(mels.transpose(1, 2), f))

    def draw_loops(
        self, index: Tensor, middles: Tensor, samples: int, generator: torch.Generator
    ) -> Tensor:
        """Let some rows of ``index [B, n]`` come round again: what is sampled is a loop.

        Each contains its row's middle ``[B]``, which therefore stays where the reference has it,
        and lies within ``samples``.
        """
        c = self.config
        kind, place, octaves = torch.rand(3, len(index), generator=generator).to(index.device)
        low, high = (s * self.features.sample_rate_hz for s in c.loop_s)
        period = (low * (high / low) ** octaves).round().long().clamp_max(samples)
        begin = (middles - (place * period).long()).clamp_min(0).minimum(samples - period)
        looped = begin[:, None] + (index - begin[:, None]) % period[:, None]
        return torch.where((kind < c.loop_share)[:, None], looped, index)

    def draw_changes(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pitch in semitones and speed of each of ``count`` samples, both ``[count]``."""
        c = self.config
        kind, pitch, tempo = torch.rand(3, count, generator=generator)
        semitones = c.semitones * (2 * pitch - 1)
        low, high = (math.log2(s) for s in c.speed)
        speed = 2 ** (low + (high - low) * tempo)
        turned = kind < c.varispeed_share
        pitched = ~turned & (kind < c.varispeed_share + c.pitch_share)
        stretched = ~turned & ~pitched
        stretched &= kind < c.varispeed_share + c.pitch_share + c.stretch_share
        # Varispeed keeps to the pitch's limits: nearly all records that are sampled do.
        semitones = torch.where(turned | pitched, semitones, 0.0)
        speed = torch.where(turned, 2 ** (semitones / 12), torch.where(stretched, speed, 1.0))
        return semitones, speed

    def _treat(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Filter and compress some rows of ``audio [B, n]``."""
        c = self.config
        drawn = torch.rand(6, len(audio), generator=generator).to(audio.device)
        low = torch.where(drawn[0] < c.filter_share / 2, 60 * 10 ** drawn[1], 0.0)
        high = torch.where(drawn[2] < c.filter_share / 2, 800 * 8 ** drawn[3], torch.inf)
        ratio = torch.where(drawn[4] < c.compression_share, 1.5 + 4.5 * drawn[5], 1.0)
        return compress(filter_band(audio, low, high), ratio)
