"""Virtual re-recordings for training: every setting drawn at random from one seeded generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.codecs import transcode_some
from grafprint.degradation.effects import coarsen
from grafprint.degradation.rerecording.chain import Noise, Settings, Step, heard, record
from grafprint.degradation.rerecording.config import RerecordingConfig
from grafprint.degradation.rerecording.draw import Draw, bias, hiss, resonances, wander
from grafprint.degradation.rerecording.processing import hiss_bins
from grafprint.degradation.rerecording.responses import loudspeaker_db, microphone_db, other_place
from grafprint.degradation.synthetic_rooms import RoomMaker


class Rerecord(nn.Module):
    """The chain with everything drawn at random; parts whose probability is 0 draw nothing."""

    def __init__(
        self,
        config: RerecordingConfig,
        past: int,
        noises: NoiseBank | None = None,
        rooms: RoomBank | None = None,
    ) -> None:
        """``past`` is the number of samples before the segment, whose reverberation is heard in it.

        Without a bank, noise or room is left out.
        """
        super().__init__()
        self.config, self.past, self.noises, self.rooms = config, past, noises, rooms
        self.maker = RoomMaker() if config.synthetic_rooms else None

    @torch.no_grad()
    def forward(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Re-record ``audio [B, past + n]`` and return the last ``[B, n]``.

        ``generator`` is a CPU generator, so that a seed means the same on every device.
        """
        c, draw = self.config, Draw(generator, audio.device)
        sound = record(audio, self.past, self.settings(len(audio), audio.shape[1], draw))
        if c.coarse_probability:
            rows = draw.rows(len(sound), c.coarse_probability)
            if len(rows):
                sound = sound.clone()
                sound[rows] = coarsen(sound[rows], generator)
        if c.codec_probability:
            sound = transcode_some(sound, c.codec_probability, generator)
        return sound

    def settings(self, batch: int, total: int, draw: Draw) -> Settings:
        """Draw the settings for a batch of ``[batch, total]``, in the order of the chain."""
        c = self.config
        present = c.loudspeaker_probability
        distortion = _sometimes(present * c.distortion_probability, batch, draw, self._distortion)
        room = self._room(batch, draw)
        loudspeaker = self._loudspeaker_db(batch, draw) if present else None
        noises = self._noises(batch, total, room, draw)
        microphone = self._microphone_db(batch, draw) if c.microphone_probability else None
        noisy, snr_db = torch.ones(()), torch.zeros(())
        if noises:
            noisy, snr_db = draw.mask(batch, c.noise_probability), draw.uniform(batch, *c.snr_db)
        bins = hiss_bins(heard(total, self.past))
        return Settings(
            distortion=distortion,
            loudspeaker_db=loudspeaker,
            room=room,
            noises=noises,
            noisy=noisy,
            snr_db=snr_db,
            microphone_db=microphone,
            hiss=_sometimes(c.hiss_probability, batch, draw, lambda n, d: self._hiss(n, d, bins)),
            suppression=_sometimes(c.suppression_probability, batch, draw, _suppression),
            gain_control=_sometimes(c.gain_control_probability, batch, draw, _gain_control),
            limiter=_sometimes(c.limiter_probability, batch, draw, _limiter),
        )

    def _room(self, batch: int, draw: Draw) -> Tensor | None:
        """Room responses ``[B, m]``; an impulse where the clip is to have no room."""
        if self.rooms is None or not self.config.room_probability:
            return None
        responses = self.rooms.draw(batch, draw.generator)
        if self.maker is not None:
            rows = draw.rows(batch, self.config.synthetic_rooms)
            if len(rows):
                responses[rows] = self.maker.draw(len(rows), responses.shape[1], draw.generator)
        dry = draw.rows(batch, 1 - self.config.room_probability)
        responses[dry] = 0.0
        responses[dry, 0] = 1.0
        return responses

    def _noises(self, batch: int, total: int, room: Tensor | None, draw: Draw) -> tuple[Noise, ...]:
        """One noise for every clip and a second for some, each at a place of its own."""
        c, noises = self.config, self.noises
        if noises is None or not c.noise_probability:
            return ()

        def placed(rows: Tensor, gain: Tensor | None) -> Noise:
            sound = noises.draw(len(rows), total, draw.generator)
            place = None if room is None else other_place(room[rows], draw.generator)
            return Noise(rows, sound, place, gain)

        first = placed(torch.arange(batch, device=draw.device), None)
        if c.second_noise_probability:
            rows = draw.rows(batch, c.second_noise_probability)
            if len(rows):
                gain = 10 ** (draw.uniform(len(rows), -15.0, 5.0) / 20)
                return first, placed(rows, gain)
        return (first,)

    def _loudspeaker_db(self, batch: int, draw: Draw) -> Tensor:
        c = self.config
        present = draw.mask(batch, c.loudspeaker_probability)
        response = loudspeaker_db(
            draw.log_uniform(batch, *c.high_pass_hz),
            draw.uniform(batch, *c.high_pass_db),
            draw.uniform(batch, *c.tilt_db),
            *resonances(batch, c.resonance_db, draw),
        )
        return response * present

    def _microphone_db(self, batch: int, draw: Draw) -> Tensor:
        c = self.config
        present = draw.mask(batch, c.microphone_probability)
        response = microphone_db(
            draw.log_uniform(batch, *c.microphone_low_hz),
            draw.log_uniform(batch, *c.microphone_high_hz),
            wander(batch, c.microphone_db, draw),
        )
        return response * present

    def _distortion(self, rows: int, draw: Draw) -> tuple[Tensor, ...]:
        return draw.log_uniform(rows, *self.config.drive), bias(rows, draw)

    def _hiss(self, rows: int, draw: Draw, bins: int) -> tuple[Tensor, ...]:
        return draw.uniform(rows, *self.config.hiss_db), *hiss(rows, bins, draw)


def _sometimes(
    probability: float, batch: int, draw: Draw, settings: Callable[[int, Draw], tuple[Tensor, ...]]
) -> Step | None:
    """A step for the clips that are chosen with the probability, with settings drawn for them."""
    if not probability:
        return None
    rows = draw.rows(batch, probability)
    return Step(rows, settings(len(rows), draw)) if len(rows) else None


def _suppression(rows: int, draw: Draw) -> tuple[Tensor, ...]:
    return draw.uniform(rows, 0.5, 2.5), draw.uniform(rows, -20.0, -6.0)


def _gain_control(rows: int, draw: Draw) -> tuple[Tensor, ...]:
    return (
        draw.uniform(rows, 0.3, 1.0),
        draw.log_uniform(rows, 0.01, 0.1),
        draw.log_uniform(rows, 0.1, 2.0),
    )


def _limiter(rows: int, draw: Draw) -> tuple[Tensor, ...]:
    """Limiting at once to three times the RMS, 12 dB more, or 12 dB less."""
    drive = draw.log_uniform(rows, 0.25, 4.0)
    return drive, torch.zeros_like(drive)
