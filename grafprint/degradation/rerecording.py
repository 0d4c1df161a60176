"""Virtual re-recording: music from a loudspeaker in a room, recorded by a phone, in one chain.

Loudspeaker -> room, in which the noise stands too -> microphone -> phone processing -> codec.
Batched and seeded; every part is drawn at random and can be switched off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor, nn

from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.degradation.codecs import transcode_some
from grafprint.degradation.effects import coarsen, power
from grafprint.degradation.filters import band_db
from grafprint.degradation.synthetic_rooms import RoomMaker

Range = tuple[float, float]

_WARM_UP_S = 0.5  # of the past: the phone's gain control has settled when the segment begins
_RINGING = 2048  # samples for which a filter without delay rings
_RESONANCES = 4
_REFLECTIONS = 12
_FRAME = 160  # samples between two decisions of the gain control
# Frequency responses are computed at these frequencies and interpolated.
_KNOTS_HZ = torch.logspace(1, 13, 289, base=2.0)[None]  # 2 Hz to 8192 Hz, 24 an octave


@dataclass(frozen=True)
class RerecordingConfig:
    """How often each part takes part, and the ranges from which its settings are drawn."""

    loudspeaker_probability: float = 1.0
    high_pass_hz: Range = (80.0, 1000.0)  # log-uniform
    high_pass_db: Range = (12.0, 48.0)  # an octave
    tilt_db: Range = (-20.0, 30.0)  # from 100 Hz to 8 kHz
    resonance_db: float = 12.0  # of the strongest, up or down
    distortion_probability: float = 0.5
    drive: Range = (0.3, 4.0)  # log-uniform; 1 saturates at three times the RMS

    room_probability: float = 0.95
    synthetic_rooms: float = 0.5  # share of the rooms

    noise_probability: float = 0.95
    second_noise_probability: float = 0.4  # from another place in the room
    snr_db: Range = (-10.0, 20.0)

    microphone_probability: float = 0.8
    microphone_low_hz: Range = (40.0, 300.0)  # log-uniform, as the next
    microphone_high_hz: Range = (3000.0, 9000.0)
    microphone_db: float = 3.0  # standard deviation of the response from octave to octave
    hiss_probability: float = 0.8  # steady noise, of the recorder or far away
    hiss_db: Range = (-45.0, -8.0)  # relative to everything else

    suppression_probability: float = 0.4
    gain_control_probability: float = 0.5
    limiter_probability: float = 0.3
    coarse_probability: float = 0.3  # what a low bit rate leaves, without a codec
    codec_probability: float = 0.0  # real codecs, which are slow


PRESETS = {
    "phone across the room": RerecordingConfig(
        high_pass_hz=(80.0, 250.0),
        high_pass_db=(12.0, 24.0),
        tilt_db=(-15.0, 10.0),
        room_probability=1.0,
        snr_db=(0.0, 15.0),
    ),
    "laptop in a café": RerecordingConfig(
        high_pass_hz=(250.0, 1000.0),
        high_pass_db=(18.0, 48.0),
        tilt_db=(0.0, 30.0),
        room_probability=1.0,
        noise_probability=1.0,
        second_noise_probability=0.8,
        snr_db=(-10.0, 5.0),
    ),
    "car radio": RerecordingConfig(
        high_pass_hz=(80.0, 160.0),
        tilt_db=(-25.0, 0.0),
        distortion_probability=0.3,
        room_probability=0.5,
        noise_probability=1.0,
        snr_db=(-5.0, 10.0),
    ),
    "club": RerecordingConfig(
        high_pass_hz=(80.0, 100.0),
        tilt_db=(-30.0, -10.0),
        distortion_probability=1.0,
        drive=(1.0, 4.0),
        room_probability=1.0,
        noise_probability=1.0,
        snr_db=(-5.0, 10.0),
        gain_control_probability=1.0,
        limiter_probability=1.0,
    ),
}


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
        c, n = self.config, audio.shape[1] - self.past
        draw = _Draw(generator, audio.device)

        def sometimes(
            probability: float, sound: Tensor, process: Callable[[Tensor, _Draw], Tensor]
        ) -> Tensor:
            if not probability:
                return sound
            rows = draw.rows(len(sound), probability)
            if len(rows) == 0:
                return sound
            sound = sound.clone()
            sound[rows] = process(sound[rows], draw)
            return sound

        level = power(audio)
        if c.loudspeaker_probability:
            audio = sometimes(c.loudspeaker_probability * c.distortion_probability, audio,
                              self._distort)  # fmt: skip
        sound = self._acoustics(audio, level, draw)
        sound = sound[:, -(n + min(self.past, round(_WARM_UP_S * SAMPLE_RATE))) :]
        sound = sometimes(c.hiss_probability, sound, self._hiss)
        sound = sometimes(c.suppression_probability, sound, _suppress)
        sound = sometimes(c.gain_control_probability, sound, _control_gain)
        sound = sometimes(c.limiter_probability, sound, _limit)[:, -n:]
        sound = sometimes(c.coarse_probability, sound, lambda x, d: coarsen(x, d.generator))
        if c.codec_probability:
            sound = transcode_some(sound, c.codec_probability, generator)
        return sound

    def _acoustics(self, audio: Tensor, level: Tensor, draw: _Draw) -> Tensor:
        """Music and noise ``[B, past + n]`` as the microphone picks them up.

        The music is brought to its ``level [B, 1]`` (power). The SNR is that of past and segment
        together: a talker who pauses in the segment is not turned up for it.
        """
        c, (batch, total) = self.config, audio.shape
        responses = None
        if self.rooms is not None and c.room_probability:
            responses = self._responses(self.rooms, batch, draw)
        # Circular convolution may spoil the past but not the segment.
        late = 0 if responses is None else responses.shape[1] - 1 - self.past
        size = next_fast_len(total + max(_RINGING, late), real=True)
        music = torch.fft.rfft(audio, size)
        if c.loudspeaker_probability:
            present = draw.mask(batch, c.loudspeaker_probability)
            music *= spread(self._loudspeaker_db(batch, draw) * present, size)
        if responses is not None:
            music *= torch.fft.rfft(responses, size)
        noise = None
        if self.noises is not None and c.noise_probability:
            noise = self._noise(self.noises, responses, batch, total, size, draw)
        if c.microphone_probability:
            present = draw.mask(batch, c.microphone_probability)
            response = spread(self._microphone_db(batch, draw) * present, size)
            music *= response
            if noise is not None:
                noise *= response
        sound = at_power(torch.fft.irfft(music, size)[:, :total], level)
        if noise is None:
            return sound
        present = draw.mask(batch, c.noise_probability)
        snr_db = draw.uniform(batch, *c.snr_db)
        noisy = torch.fft.irfft(noise, size)[:, :total]
        return sound + present * at_power(noisy, power(sound) / 10 ** (snr_db / 10))

    def _responses(self, rooms: RoomBank, batch: int, draw: _Draw) -> Tensor:
        """Room responses ``[B, m]``; an impulse where the clip is to have no room."""
        responses = rooms.draw(batch, draw.generator)
        if self.maker is not None:
            rows = draw.rows(batch, self.config.synthetic_rooms)
            if len(rows):
                responses[rows] = self.maker.draw(len(rows), responses.shape[1], draw.generator)
        dry = draw.rows(batch, 1 - self.config.room_probability)
        responses[dry] = 0.0
        responses[dry, 0] = 1.0
        return responses

    def _noise(
        self,
        noises: NoiseBank,
        responses: Tensor | None,
        batch: int,
        total: int,
        size: int,
        draw: _Draw,
    ) -> Tensor:
        """Spectra ``[B, f]`` of one or two noises, each at a place of its own in the room."""

        def spectra(rows: Tensor) -> Tensor:
            sound = noises.draw(len(rows), total, draw.generator)
            result = torch.fft.rfft(at_power(sound, torch.ones_like(sound[:, :1])), size)
            if responses is not None:
                place = other_place(responses[rows], draw.generator)
                result *= torch.fft.rfft(place, size)
            return result

        noise = spectra(torch.arange(batch))
        if self.config.second_noise_probability:
            rows = draw.rows(batch, self.config.second_noise_probability)
            if len(rows):
                gain = 10 ** (draw.uniform(len(rows), -15.0, 5.0) / 20)
                noise[rows] += gain * spectra(rows)
        return noise

    def _loudspeaker_db(self, batch: int, draw: _Draw) -> Tensor:
        c = self.config
        return loudspeaker_db(
            draw.log_uniform(batch, *c.high_pass_hz),
            draw.uniform(batch, *c.high_pass_db),
            draw.uniform(batch, *c.tilt_db),
            draw.log_uniform(batch, 100.0, 8000.0, _RESONANCES),
            c.resonance_db * draw.uniform(batch, -1.0, 1.0, _RESONANCES),
            draw.log_uniform(batch, 0.05, 0.5, _RESONANCES),
        )

    def _microphone_db(self, batch: int, draw: _Draw) -> Tensor:
        c = self.config
        return microphone_db(
            draw.log_uniform(batch, *c.microphone_low_hz),
            draw.log_uniform(batch, *c.microphone_high_hz),
            c.microphone_db * draw.normal(batch, 13),
        )

    def _distort(self, audio: Tensor, draw: _Draw) -> Tensor:
        drive = draw.log_uniform(len(audio), *self.config.drive)
        return saturate(audio, drive, draw.uniform(len(audio), -0.3, 0.3))

    def _hiss(self, audio: Tensor, draw: _Draw) -> Tensor:
        level_db = draw.uniform(len(audio), *self.config.hiss_db)
        exponent = draw.uniform(len(audio), 0.0, 1.5)  # between white noise and that of traffic
        size = next_fast_len(audio.shape[1], real=True)
        hertz = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE, device=audio.device).clamp_min(50.0)
        bins = draw.normal(len(audio), 2 * len(hertz)).view(len(audio), -1, 2)
        shape = torch.outer(-exponent[:, 0] / 2, hertz.log()).exp()
        hiss = torch.fft.irfft(torch.view_as_complex(bins) * shape, size)[:, : audio.shape[1]]
        return audio + at_power(hiss, power(audio) * 10 ** (level_db / 10))


class _Draw:
    """Random numbers from a CPU generator, brought to a device."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def uniform(self, rows: int, low: float, high: float, columns: int = 1) -> Tensor:
        drawn = torch.rand(rows, columns, generator=self.generator).to(self.device)
        return low + (high - low) * drawn

    def log_uniform(self, rows: int, low: float, high: float, columns: int = 1) -> Tensor:
        return low * (high / low) ** self.uniform(rows, 0.0, 1.0, columns)

    def normal(self, rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=self.generator).to(self.device)

    def mask(self, rows: int, probability: float) -> Tensor:
        """``[rows, 1]``: 1 with the probability, else 0."""
        return (self.uniform(rows, 0.0, 1.0) < probability).float()

    def rows(self, rows: int, probability: float) -> Tensor:
        """The numbers of the rows that are chosen with the probability."""
        return self.mask(rows, probability)[:, 0].nonzero()[:, 0]


def loudspeaker_db(
    high_pass_hz: Tensor,
    high_pass_db: Tensor,
    tilt_db: Tensor,
    resonance_hz: Tensor,
    resonance_db: Tensor,
    resonance_octaves: Tensor,
) -> Tensor:
    """A loudspeaker's response in dB at the frequencies of :func:`spread`, ``[B, knots]``.

    A high-pass of ``high_pass_db`` an octave, a tilt of ``tilt_db`` from 100 Hz to 8 kHz (both
    ``[B, 1]``), and resonances: ``[B, r]`` centres, heights and widths.
    """
    hertz = _KNOTS_HZ.to(high_pass_hz.device)
    gain_db = band_db(hertz, high_pass_hz, torch.inf, high_pass_db / 3.01, 1.0)
    gain_db = gain_db + tilt_db * (hertz / 100).log2().clamp(-1.0) / math.log2(80)
    away = (hertz[:, None] / resonance_hz[:, :, None]).log2() / resonance_octaves[:, :, None]
    return gain_db + (resonance_db[:, :, None] * (-away.square()).exp()).sum(dim=1)


def microphone_db(low_hz: Tensor, high_hz: Tensor, octaves_db: Tensor) -> Tensor:
    """A microphone's response in dB at the frequencies of :func:`spread`, ``[B, knots]``.

    Falls by 12 dB an octave below ``low_hz`` and by 24 above ``high_hz`` (``[B, 1]``), and wanders
    through ``octaves_db [B, 13]``, one value an octave from 2 Hz on.
    """
    hertz = _KNOTS_HZ.to(low_hz.device)
    wander = F.interpolate(octaves_db[:, None], hertz.shape[1], mode="linear", align_corners=True)
    return band_db(hertz, low_hz, high_hz, 4.0, 8.0) + wander[:, 0]


def spread(knots_db: Tensor, size: int) -> Tensor:
    """Amplitudes ``[B, size // 2 + 1]`` for ``rfft(..., size)`` from a response in dB."""
    octave = _KNOTS_HZ.to(knots_db.device)[0].log2()
    hertz = torch.fft.rfftfreq(size, 1 / SAMPLE_RATE, device=knots_db.device)
    position = (hertz.clamp_min(2.0).log2() - octave[0]) / (octave[1] - octave[0])
    left = position.long().clamp_max(len(octave) - 2)
    knots = 10 ** (knots_db / 20)
    return torch.lerp(knots[:, left], knots[:, left + 1], position - left)


def saturate(audio: Tensor, drive: Tensor, bias: Tensor) -> Tensor:
    """Soft clipping of ``audio [B, n]``: odd harmonics, and even ones with a ``bias`` (``[B, 1]``).

    A drive of 1 saturates at three times the RMS; a drive towards 0 changes nothing.
    """
    scale = 3 * power(audio).sqrt().clamp_min(1e-9) / drive
    clipped = torch.tanh(audio / scale + bias) - torch.tanh(bias)
    return clipped * scale


def at_power(sound: Tensor, wanted: Tensor) -> Tensor:
    """``sound [B, n]`` at a power of ``wanted [B, 1]``; silence stays silent."""
    return sound * (wanted / power(sound).clamp_min(1e-20)).sqrt()


def other_place(responses: Tensor, generator: torch.Generator) -> Tensor:
    """Responses ``[B, m]`` of another place in the same rooms.

    The reverberation has the same decay and level but another fine structure; reflections and the
    level of the direct sound, -12 to 6 dB from what it was, are drawn. An impulse stays one, at
    another level.
    """
    draw, (batch, m) = _Draw(generator, responses.device), responses.shape
    time_s = torch.arange(m, device=responses.device) / SAMPLE_RATE
    tail = responses * ((time_s - 0.005) / 0.025).clamp(0, 1)
    # Noise of 500 Hz: the tail's spectrum is blurred by that much, and its envelope kept.
    fine = draw.normal(batch, 2 + m * 1000 // SAMPLE_RATE)
    tail = tail * F.interpolate(fine[:, None], m, mode="linear", align_corners=True)[:, 0]
    energy = tail.square().sum(dim=1, keepdim=True)
    direct = responses[:, : round(0.005 * SAMPLE_RATE)].square().sum(dim=1, keepdim=True).sqrt()
    after = 0.06 * draw.uniform(batch, 0.0, 1.0, _REFLECTIONS) ** 1.5
    strength = draw.normal(batch, _REFLECTIONS) * (-after / 0.02).exp()
    strength = strength / strength.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-9)
    strength = strength * (energy * draw.uniform(batch, 0.05, 0.5)).sqrt()
    moment = (1 + after * SAMPLE_RATE).long().clamp_max(m - 1)
    result = tail.scatter_add(1, moment, strength)
    result[:, :1] += direct * 10 ** (draw.uniform(batch, -12.0, 6.0) / 20)
    return result


def control_gain(
    audio: Tensor, strength: Tensor, attack_s: Tensor, release_s: Tensor, most_db: float = 20.0
) -> Tensor:
    """Automatic gain control of ``audio [B, n]``: slow changes of level are evened out.

    ``strength`` 1 removes them wholly, 0 leaves them. It follows a rising level with the time
    constant ``attack_s``, a falling one with ``release_s`` (all ``[B, 1]``), and turns up or down
    by ``most_db`` at most, from the clip's mean level.
    """
    n = audio.shape[1]
    frames = -(-n // _FRAME)
    padded = F.pad(audio, (0, frames * _FRAME - n))
    level_db = 10 * power(padded.view(len(audio), frames, _FRAME))[..., 0].clamp_min(1e-10).log10()
    mean_db = 10 * power(audio).clamp_min(1e-10).log10()
    step_s = _FRAME / SAMPLE_RATE
    rise, fall = ((-step_s / time_s)[:, 0].exp() for time_s in (attack_s, release_s))
    followed, state = [], mean_db[:, 0]
    for level in level_db.unbind(dim=1):
        state = torch.lerp(level, state, torch.where(level > state, rise, fall))
        followed.append(state)
    gain_db = (strength * (mean_db - torch.stack(followed, dim=1))).clamp(-most_db, most_db)
    gain = F.interpolate(gain_db[:, None], frames * _FRAME, mode="linear")[:, 0, :n]
    return audio * 10 ** (gain / 20)


def suppress_noise(audio: Tensor, excess: Tensor, floor_db: Tensor) -> Tensor:
    """Spectral noise suppression of ``audio [B, n]``, as phones do for speech.

    In each band the quietest quarter of a second counts as noise. ``excess`` times its power is
    subtracted everywhere; no band is turned down below ``floor_db`` (both ``[B, 1]``).
    """
    window = torch.hann_window(512, device=audio.device)
    spectrum = torch.stft(audio, 512, 256, window=window, return_complex=True)
    loudness = spectrum.abs().square()
    smooth = F.avg_pool1d(loudness, 15, 1, 7, count_include_pad=False)
    noise = excess[..., None] * smooth.amin(dim=2, keepdim=True)
    heard = F.avg_pool2d(loudness[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    gain = (1 - noise / heard.clamp_min(1e-20)).clamp_min(0).sqrt()
    gain = gain.maximum(10 ** (floor_db[..., None] / 20))
    return torch.istft(spectrum * gain, 512, 256, window=window, length=audio.shape[1])


def _suppress(audio: Tensor, draw: _Draw) -> Tensor:
    rows = len(audio)
    return suppress_noise(audio, draw.uniform(rows, 0.5, 2.5), draw.uniform(rows, -20.0, -6.0))


def _control_gain(audio: Tensor, draw: _Draw) -> Tensor:
    rows = len(audio)
    return control_gain(
        audio, draw.uniform(rows, 0.3, 1.0), draw.log_uniform(rows, 0.01, 0.1),
        draw.log_uniform(rows, 0.1, 2.0),
    )  # fmt: skip


def _limit(audio: Tensor, draw: _Draw) -> Tensor:
    """Limiting at once to three times the RMS, 12 dB more, or 12 dB less."""
    drive = draw.log_uniform(len(audio), 0.25, 4.0)
    return saturate(audio, drive, torch.zeros_like(drive))
