"""The degrade chain - time offset, reverberation, noise at an exact SNR - for training,
evaluation and the app alike: batched, seeded, on CPU or GPU.

Order, as in a room: the music is played into the room (reverb, which hears at least a second of
music before the segment, so that its tail is real), then noise is added at the microphone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.codecs import transcoded
from grafprint.degradation.effects import (
    SAMPLE_RATE,
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
    past_s: float = 1.0  # music the reverb hears before the segment
    # Nearer to life than the paper's two; see docs/results.md for what each of them is worth.
    speed_change: float = 0.0  # the largest, either way, as a share
    made_rooms: float = 0.0  # share of the reverb that is of rooms made up on the spot
    colour_probability: float = 0.0  # of a microphone's frequency response
    clip_probability: float = 0.0  # of an overloaded input
    codec_probability: float = 0.0  # of a lossy codec at a low bit rate
    coarse_probability: float = 0.0  # of what such codecs leave, made up on the spot
    # Share of the clips that are re-recorded virtually instead of all this but the speed.
    rerecording_probability: float = 0.0
    rerecording: RerecordingConfig = field(default_factory=RerecordingConfig)

    @property
    def past_samples(self) -> int:
        """``past_s`` in samples."""
        return round(self.past_s * SAMPLE_RATE)


class Degrade(nn.Module):
    """Speed, reverb, noise, microphone: in the order of life, all drawn from one seeded generator.

    Steps that the configuration leaves out draw nothing, so they change no other step's draws.
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
        """Room responses ``[batch, m]``, recorded or made up."""
        drawn = rooms.draw(batch, generator)
        if self.maker is None:
            return drawn
        made = self.maker.draw(batch, drawn.shape[1], generator)
        chosen = torch.rand(batch, 1, generator=generator) < self.config.made_rooms
        return torch.where(chosen.to(drawn.device), made, drawn)

    def forward(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade ``audio [B, past_samples + n]`` and return the last ``[B, n]``.

        Noise or reverb is left out where its bank is None. The SNR is that of the ``n`` samples
        returned: the reverberated music against the noise.
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
            segment = transcoded(segment, c.codec_probability, generator)
        return segment
