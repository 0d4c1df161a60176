"""Random degradation for training: batched, seeded, on CPU or GPU.

The order is that of reality: music is played in a room (reverberation, computed with the music
before the segment, so that its tail is included), then noise is added at the microphone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.codecs import transcode_some
from grafprint.degradation.effects import (
    change_speed,
    clip_peaks,
    coarsen,
    colour,
    mix_at_snr,
    reverberate,
)
from grafprint.degradation.rerecording import Rerecord, RerecordingConfig
from grafprint.degradation.synthetic_rooms import RoomMaker


@dataclass(frozen=True)
class DegradeConfig:
    """How hard to degrade. The paper's training: SNR 0-20 dB always, reverb always."""

    snr_db: tuple[float, float] = (-3.0, 20.0)
    noise_probability: float = 0.95
    reverb_probability: float = 0.75
    past_s: float = 1.0  # music before the segment that the reverb includes
    # Beyond the paper; docs/results.md measures what each of them contributes.
    speed_change: float = 0.0  # largest change, faster or slower, as a share
    made_rooms: float = 0.0  # share of the room responses that are synthetic (RoomMaker)
    colour_probability: float = 0.0  # frequency response of a microphone
    clip_probability: float = 0.0  # overloaded input
    codec_probability: float = 0.0  # lossy codec at a low bit rate
    coarse_probability: float = 0.0  # the same, simulated on the device
    # Share of the clips that are re-recorded virtually instead of all this but the speed.
    rerecording_probability: float = 0.0
    rerecording: RerecordingConfig = field(default_factory=RerecordingConfig)

    @property
    def past_samples(self) -> int:
        """``past_s`` in samples."""
        return round(self.past_s * SAMPLE_RATE)


class Degrade(nn.Module):
    """Speed, reverb, noise, microphone, in this order, drawn from one seeded generator.

    Steps that are switched off draw nothing, so that the draws of other steps stay the same.
    """

    def __init__(
        self,
        config: DegradeConfig,
        noises: NoiseBank | None = None,
        rooms: RoomBank | None = None,
    ) -> None:
        super().__init__()
        self.config, self.noises, self.rooms = config, noises, rooms
        self.maker = RoomMaker() if config.made_rooms else None
        self.rerecord = None
        if config.rerecording_probability:
            self.rerecord = Rerecord(config.rerecording, config.past_samples, noises, rooms)

    def _responses(self, rooms: RoomBank, batch: int, generator: torch.Generator) -> Tensor:
        """Room responses ``[batch, m]``, from the bank or synthetic."""
        drawn = rooms.draw(batch, generator)
        if self.maker is None:
            return drawn
        synthetic = self.maker.draw(batch, drawn.shape[1], generator)
        chosen = torch.rand(batch, 1, generator=generator) < self.config.made_rooms
        return torch.where(chosen.to(drawn.device), synthetic, drawn)

    def forward(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade ``audio [B, past_samples + n]`` and return the last ``[B, n]``.

        Noise or reverb is skipped if its bank is None. The SNR is that of the reverberated music
        to the noise, over the ``n`` samples returned.
        """
        c, batch = self.config, len(audio)
        if c.speed_change:
            factor = 1 + c.speed_change * (2 * torch.rand(batch, generator=generator) - 1)
            audio = change_speed(audio, factor.to(audio.device))
        if self.rerecord is None:
            return self._plain(audio, generator)
        chosen = torch.rand(batch, generator=generator) < c.rerecording_probability
        chosen = chosen.to(audio.device)
        result = audio[:, c.past_samples :].clone()
        for rows, chain in ((chosen, self.rerecord), (~chosen, self._plain)):
            if rows.any():
                result[rows] = chain(audio[rows], generator)
        return result

    def _plain(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        c, batch = self.config, len(audio)

        def sometimes(probability: float, changed: Tensor, original: Tensor) -> Tensor:
            chosen = torch.rand(batch, 1, generator=generator) < probability
            return torch.where(chosen.to(audio.device), changed, original)

        segment = audio[:, c.past_samples :]
        if self.rooms is not None:
            wet = reverberate(audio, self._responses(self.rooms, batch, generator))
            segment = sometimes(c.reverb_probability, wet[:, c.past_samples :], segment)
        if self.noises is not None:
            noise = self.noises.draw(batch, segment.shape[1], generator)
            low, high = c.snr_db
            snr_db = low + (high - low) * torch.rand(batch, generator=generator)
            noisy = mix_at_snr(segment, noise, snr_db.to(audio.device))
            segment = sometimes(c.noise_probability, noisy, segment)
        if c.colour_probability:
            segment = sometimes(c.colour_probability, colour(segment, generator), segment)
        if c.clip_probability:
            share = 0.1 + 0.6 * torch.rand(batch, generator=generator)
            segment = sometimes(c.clip_probability, clip_peaks(segment, share), segment)
        if c.coarse_probability:
            segment = sometimes(c.coarse_probability, coarsen(segment, generator), segment)
        if c.codec_probability:
            segment = transcode_some(segment, c.codec_probability, generator)
        return segment
