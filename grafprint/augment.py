"""The degrade chain - time offset, reverberation, noise at an exact SNR - for training,
evaluation and the app alike: batched, seeded, on CPU or GPU.

Order, as in a room: the music is played into the room (reverb, which hears at least a second of
music before the segment, so that its tail is real), then noise is added at the microphone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grafprint.filters import band_db, filter_hertz, filtered
from grafprint.rooms import RoomMaker
from grafprint.transcode import transcoded

SAMPLE_RATE = 16_000
QUIET = 1e-8  # mean power (-80 dBFS) below which a noise clip is no noise


def power(audio: Tensor) -> Tensor:
    """Mean square over the last axis, kept as an axis of length one."""
    return audio.square().mean(dim=-1, keepdim=True)


def mix_at_snr(audio: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add ``noise [B, n]`` to ``audio [B, n]`` so that their power ratio is ``snr_db [B]``.

    The ratio is exact over the ``n`` samples given. Where the audio or the noise is silent an
    SNR has no meaning and the audio is returned as it is.
    """
    signal_power, noise_power = power(audio), power(noise)
    wanted = signal_power / 10 ** (snr_db.view(-1, 1) / 10)
    gain = (wanted / noise_power.clamp_min(torch.finfo(audio.dtype).tiny)).sqrt()
    usable = (signal_power > 0) & (noise_power > 0)
    return torch.where(usable, audio + gain * noise, audio)


def reverberate(audio: Tensor, rir: Tensor) -> Tensor:
    """Convolve ``audio [B, n]`` with room responses ``rir [B, m]``; output ``[B, n]``.

    The direct sound stays where it was when the responses are aligned (:func:`prepare_rir`).
    Each output keeps the power of its input.
    """
    n, m = audio.shape[-1], rir.shape[-1]
    size = 1 << (n + m - 2).bit_length()
    wet = torch.fft.irfft(torch.fft.rfft(audio, size) * torch.fft.rfft(rir, size), size)[..., :n]
    scale = (power(audio) / power(wet).clamp_min(torch.finfo(audio.dtype).tiny)).sqrt()
    return wet * scale


def change_speed(audio: Tensor, factor: Tensor) -> Tensor:
    """Play ``audio [B, n]`` ``factor [B]`` times as fast, pitch and tempo together.

    The end stays where it is. Cubic interpolation: meant for a few percent. Where a factor above
    one asks for what was before the audio, its first samples are held.
    """
    n = audio.shape[1]
    place = n - 3 - (n - 3 - torch.arange(n, device=audio.device)) * factor[:, None]
    place = place.clamp(1, n - 3)
    whole = place.long()
    t = place - whole
    p0, p1, p2, p3 = (audio.gather(1, whole + shift) for shift in (-1, 0, 1, 2))
    # Catmull-Rom.
    return p1 + 0.5 * t * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )


def colour(audio: Tensor, generator: torch.Generator) -> Tensor:
    """A random microphone or loudspeaker for each of ``audio [B, n]``, without delay.

    A high-pass at 30-600 Hz and a low-pass at 2-8 kHz of 6-24 dB an octave each, and a response
    that wanders by 5 dB or so from octave to octave.
    """
    batch, n = audio.shape
    hertz = filter_hertz(n).to(audio.device)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, generator=generator).to(audio.device)

    low_hz = 30 * 20 ** uniform(0, 1)
    high_hz = 2000 * 4 ** uniform(0, 1)
    gain_db = band_db(hertz, low_hz, high_hz, uniform(2, 8), uniform(2, 8))
    # One an octave from 16 Hz on.
    knots = 5 * torch.randn(batch, 10, generator=generator).to(audio.device)
    octave = (hertz / 16).log2().clamp(0, 8.999)
    left = octave.long()
    wander = torch.lerp(knots[:, left], knots[:, left + 1], octave - left)
    return filtered(audio, gain_db + wander)


def clip_peaks(audio: Tensor, share: Tensor) -> Tensor:
    """Clip ``audio [B, n]`` at ``share [B]`` of each one's peak, as an overloaded input does."""
    peak = audio.abs().amax(dim=1, keepdim=True) * share.view(-1, 1).to(audio.device)
    return audio.clamp(-peak, peak)


def coarsen(audio: Tensor, generator: torch.Generator) -> Tensor:
    """``audio [B, n]`` as a codec short of bits leaves it: a coarse spectrum, and holes in it.

    Every 20 ms the spectrum is rounded to steps that follow its envelope, -6 to 9 dB from it. Real
    codecs (:mod:`grafprint.transcode`) work on the processor, one clip at a time; this costs a GPU
    next to nothing.
    """
    level_db = -6 + 15 * torch.rand(len(audio), 1, 1, generator=generator).to(audio.device)
    window = torch.hann_window(640, device=audio.device)
    spectrum = torch.stft(audio, 640, 320, window=window, return_complex=True)
    power = spectrum.abs().square()[:, None]
    envelope = F.avg_pool2d(power, (17, 1), 1, (8, 0), count_include_pad=False)[:, 0]
    step = (envelope * 10 ** (level_db / 10)).sqrt().clamp_min(1e-12)[..., None]
    coarse = (torch.view_as_real(spectrum) / step).round() * step
    return torch.istft(torch.view_as_complex(coarse), 640, 320, window=window,
                       length=audio.shape[1])  # fmt: skip


def prepare_rir(rir: np.ndarray, max_s: float = 2.0) -> np.ndarray:
    """Cut a room response ``[m]`` to begin with its direct sound, at unit energy.

    The direct sound is the first sample to reach half the peak: later reflections can exceed it.
    Without this a reverberated query would be late by the distance to the loudspeaker. Raises
    ValueError for a silent response.
    """
    magnitude = np.abs(rir)
    if not np.isfinite(rir).all() or magnitude.max(initial=0.0) == 0:
        raise ValueError("the room response is silent or not finite")
    first = int(np.argmax(magnitude >= 0.5 * magnitude.max()))
    cut = rir[first : first + round(max_s * SAMPLE_RATE)].astype(np.float32)
    return cut / float(np.sqrt(np.square(cut).sum()))


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

        def sometimes(probability: float, changed: Tensor, original: Tensor) -> Tensor:
            chosen = torch.rand(batch, 1, generator=generator) < probability
            return torch.where(chosen.to(audio.device), changed, original)

        if c.speed_change:
            factor = 1 + c.speed_change * (2 * torch.rand(batch, generator=generator) - 1)
            audio = change_speed(audio, factor.to(audio.device))
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


def neighbouring(
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
