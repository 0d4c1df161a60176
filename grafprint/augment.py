"""The degrade chain - time offset, reverberation, noise at an exact SNR - for training,
evaluation and the app alike: batched, seeded, on CPU or GPU.

Order, as in a room: the music is played into the room (reverb, which hears at least a second of
music before the segment, so that its tail is real), then noise is added at the microphone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

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

    def __init__(self, clips: Iterable[np.ndarray]) -> None:
        """Take float clips ``[n]`` at 16 kHz; silent ones are left out. ValueError if all are."""
        super().__init__()
        kept = [c for c in clips if len(c) and float(np.square(c).mean()) > QUIET]
        if not kept:
            raise ValueError("there is no noise clip that is not silent")
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
        device = self.samples.device
        noise = torch.zeros(batch, n, device=device)
        todo = torch.arange(batch)
        for _ in range(8):  # a clip may hold silent stretches: draw those again
            clip = torch.randint(len(self), (len(todo),), generator=generator).to(device)
            where = torch.rand(len(todo), 1, generator=generator).to(device)
            length = self.length[clip, None]
            start = (where * length).long()
            place = (start + torch.arange(n, device=device)) % length
            noise[todo.to(device)] = self.samples[self.first[clip, None] + place].float() / 32768
            todo = (power(noise)[:, 0] <= QUIET).nonzero()[:, 0].cpu()
            if len(todo) == 0:
                break
        return noise


class RoomBank(nn.Module):
    """Room responses to draw from, aligned to their direct sound and padded to one length."""

    responses: Tensor

    def __init__(self, rirs: Iterable[np.ndarray], max_s: float = 2.0) -> None:
        """Take responses ``[m]`` at 16 kHz. ValueError if there is none or one is silent."""
        super().__init__()
        prepared = [torch.from_numpy(prepare_rir(r, max_s)) for r in rirs]
        if not prepared:
            raise ValueError("there is no room response")
        padded = nn.utils.rnn.pad_sequence(prepared, batch_first=True)
        self.register_buffer("responses", padded)

    def __len__(self) -> int:
        return len(self.responses)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random responses ``[batch, m]``."""
        pick = torch.randint(len(self), (batch,), generator=generator)
        return self.responses[pick.to(self.responses.device)]


@dataclass(frozen=True)
class DegradeConfig:
    """How hard to degrade. The paper's training: SNR 0-20 dB always, reverb always."""

    snr_db: tuple[float, float] = (-3.0, 20.0)
    noise_probability: float = 0.95
    reverb_probability: float = 0.75
    past_s: float = 1.0  # music the reverb hears before the segment

    @property
    def past_samples(self) -> int:
        """``past_s`` in samples."""
        return round(self.past_s * SAMPLE_RATE)


class Degrade(nn.Module):
    """Reverb, then noise, with everything drawn from one seeded generator."""

    def __init__(
        self,
        config: DegradeConfig,
        noises: NoiseBank | None = None,
        rooms: RoomBank | None = None,
    ) -> None:
        super().__init__()
        self.config, self.noises, self.rooms = config, noises, rooms

    def forward(self, audio: Tensor, generator: torch.Generator) -> Tensor:
        """Degrade ``audio [B, past_samples + n]`` and return the last ``[B, n]``.

        Noise or reverb is left out where its bank is None. The SNR is that of the ``n`` samples
        returned: the reverberated music against the noise.
        """
        c, batch = self.config, len(audio)
        segment = audio[:, c.past_samples :]
        if self.rooms is not None:
            wet = reverberate(audio, self.rooms.draw(batch, generator))[:, c.past_samples :]
            chosen = torch.rand(batch, 1, generator=generator) < c.reverb_probability
            segment = torch.where(chosen.to(audio.device), wet, segment)
        if self.noises is not None:
            noise = self.noises.draw(batch, segment.shape[1], generator)
            low, high = c.snr_db
            snr_db = low + (high - low) * torch.rand(batch, generator=generator)
            noisy = mix_at_snr(segment, noise, snr_db.to(audio.device))
            chosen = torch.rand(batch, 1, generator=generator) < c.noise_probability
            segment = torch.where(chosen.to(audio.device), noisy, segment)
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
    place = shift + offset + torch.arange(past + segment)
    return clean, audio.gather(1, place.to(audio.device))


def crop_length(segment: int, offset: int, past: int, margin: int) -> int:
    """Samples that :func:`pair_views` needs of every crop."""
    return past + offset + segment + max(offset, margin)
