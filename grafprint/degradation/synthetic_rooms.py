"""Synthetic room responses: random ones for training, and rooms of a given reverberation time."""

from __future__ import annotations

import math

import numpy as np
import pyroomacoustics as pra
import torch
from torch import Tensor, nn

from grafprint.audio import SAMPLE_RATE

_DECAY = 3 * math.log(10)  # of the amplitude over the reverberation time: 60 dB
_EARLY = 16  # single early reflections


class RoomMaker(nn.Module):
    """Random responses with the features of rooms, without simulating a geometry.

    Direct sound, early reflections within 80 ms, and a diffuse tail that builds up and decays at
    three rates: reverberation times 0.25 to 6 s, longer in the bass and shorter in the treble. The
    energy of the tail relative to the direct sound, -10 to 12 dB, covers everything from the near
    field of a bathroom to the far end of a church.
    """

    noise: Tensor

    def __init__(self, seconds: float = 30.0) -> None:
        """Prepare ``seconds`` of white noise, from which every tail takes another part."""
        super().__init__()
        samples = round(seconds * SAMPLE_RATE)
        noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
        self.register_buffer("noise", noise, persistent=False)

    def draw(self, batch: int, samples: int, generator: torch.Generator) -> Tensor:
        """Responses ``[batch, samples]`` at unit energy that start with the direct sound.

        ``generator`` is a CPU generator, so that a seed means the same on every device.
        """
        device = self.noise.device

        def uniform(low: float, high: float, count: int = 1) -> Tensor:
            drawn = torch.rand(batch, count, generator=generator).to(device)
            return low + (high - low) * drawn

        time_s = torch.arange(samples, device=device) / SAMPLE_RATE
        rt60_s = 0.25 * 24 ** uniform(0, 1)
        decays_s = torch.cat([rt60_s * uniform(0.8, 1.6), rt60_s, rt60_s * uniform(0.25, 1)], 1)
        since_s = time_s - uniform(0, 0.06)
        begins = (uniform(0, 1) * (len(self.noise) - samples)).long()
        noise = self.noise[begins + torch.arange(samples, device=device)]
        bands = _split_bands(noise, 200 * 3 ** uniform(0, 1), 1500 * 3 ** uniform(0, 1))
        envelopes = (-_DECAY * since_s.clamp_min(0)[:, None] / decays_s[:, :, None]).exp()
        build_up = (1 - (-since_s / (0.001 * 40 ** uniform(0, 1))).exp()) * (since_s > 0)
        tail = (bands * envelopes).sum(dim=1) * build_up

        places = (0.08 * SAMPLE_RATE * uniform(0, 1, _EARLY) ** 1.5).long() + 1
        signs = uniform(-1, 1, _EARLY)
        early = torch.zeros(batch, samples, device=device).scatter_add(
            1, places.clamp_max(samples - 1), signs / (1 + places / (0.005 * SAMPLE_RATE))
        )

        response = _scale(early, uniform(-15, 3)) + _scale(tail, uniform(-10, 12))
        response[:, 0] = 1.0
        return response / response.square().sum(dim=1, keepdim=True).sqrt()


def _split_bands(noise: Tensor, low_hz: Tensor, high_hz: Tensor) -> Tensor:
    """Split ``noise [B, n]`` into three bands, ``[B, 3, n]``, with soft edges at ``[B, 1]``."""
    n = noise.shape[1]
    spectrum = torch.fft.rfft(noise)
    hertz = torch.fft.rfftfreq(n, 1 / SAMPLE_RATE, device=noise.device)
    low, high = (1 / (1 + (hertz / edge) ** 4) for edge in (low_hz, high_hz))
    masks = torch.stack([low, high - low, 1 - high], dim=1)
    return torch.fft.irfft(spectrum[:, None] * masks, n)


def _scale(part: Tensor, level_db: Tensor) -> Tensor:
    """Scale ``part [B, n]`` to an energy of ``level_db [B, 1]``."""
    energy = part.square().sum(dim=1, keepdim=True).clamp_min(1e-12)
    return part * (10 ** (level_db / 10) / energy).sqrt()


def room(rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    """Response ``[m]`` of a simulated shoebox room with a reverberation time.

    Image-source model; room size and the places of loudspeaker and microphone are random. Raises
    ValueError if no room of a plausible size has that reverberation time.
    """
    return _shoebox(rt60_s, 1.0, 40, rng)


def hall(rt60_s: float, rng: np.random.Generator) -> np.ndarray:
    """Response ``[m]`` of a room, hall or church with exactly that reverberation time.

    Beyond 1 s the rooms grow with it, to those of a church of 12 to 36 m at 4 s. The reflections
    until about 50 ms (longer in a larger room) are those of :func:`room`; then a diffuse tail takes
    over at their level. Raises ValueError as :func:`room` does.
    """
    scale = max(1.0, rt60_s)
    early = _shoebox(rt60_s, scale, 12, rng)  # 12 reflections reach beyond the place of the change
    direct = int(np.argmax(np.abs(early) >= 0.5 * np.abs(early).max()))
    change = direct + round(0.05 * scale * SAMPLE_RATE)
    fade = round(0.02 * scale * SAMPLE_RATE)
    samples = change + round(rt60_s * SAMPLE_RATE)
    early = np.pad(early[:samples], (0, max(0, samples - len(early))))
    time_s = (np.arange(samples) - change) / SAMPLE_RATE
    tail = rng.standard_normal(samples) * np.exp(-_DECAY * time_s / rt60_s)
    before = slice(change - fade, change)
    tail *= np.sqrt(np.square(early[before]).mean() / np.square(tail[before]).mean())
    share = np.clip((np.arange(samples) - (change - fade)) / fade, 0, 1)
    return (early * np.sqrt(1 - share) + tail * np.sqrt(share)).astype(np.float32)


def _shoebox(rt60_s: float, scale: float, order: int, rng: np.random.Generator) -> np.ndarray:
    """Response of a room of ``scale`` times 3 to 9 m, with at most ``order`` reflections."""
    for _ in range(20):
        size = scale * rng.uniform([3.0, 2.5, 2.3], [9.0, 7.0, 3.5])
        try:
            absorption, needed = pra.inverse_sabine(rt60_s, size)
        except ValueError:  # this room cannot be that dry
            continue
        simulated = pra.ShoeBox(
            size, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=min(needed, order)
        )
        places = rng.uniform(0.5, size - 0.5, (2, 3))
        simulated.add_source(places[0])
        simulated.add_microphone(places[1])
        simulated.compute_rir()
        return np.asarray(simulated.rir[0][0], np.float32)
    raise ValueError(f"no room of 3 to 9 m has a reverberation time of {rt60_s} s")


def rooms(count: int, seed: int) -> list[np.ndarray]:
    """Responses of ``count`` simulated rooms with reverberation times of 0.2 to 0.8 s."""
    rng = np.random.default_rng(seed)
    return [room(float(rng.uniform(0.2, 0.8)), rng) for _ in range(count)]
