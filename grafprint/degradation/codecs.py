"""Lossy codecs as a degradation: music as in a call or a stream at a low bit rate."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from torch import Tensor

from grafprint.audio import SAMPLE_RATE

# Encoder, container, bit rates. Both containers record the codec's delay, so that the decoder can
# undo it.
CODECS = (
    ("libopus", "ogg", (6_000, 8_000, 12_000, 16_000)),
    ("libmp3lame", "mp3", (8_000, 12_000, 16_000, 24_000)),
)


def transcode(audio: np.ndarray, codec: str, container: str, bit_rate: int) -> np.ndarray:
    """Encode and decode ``audio [n]`` (float, 16 kHz): float32 ``[n]``, without delay."""
    loudest = max(float(np.abs(audio).max(initial=0.0)), 1e-9)
    # Headroom for the codec, and padding for its look-ahead.
    pcm = np.pad(audio / loudest * 0.8, (0, 2048)).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as writer:
        stream = cast(AudioStream, writer.add_stream(codec, rate=SAMPLE_RATE, layout="mono"))
        stream.bit_rate = bit_rate
        resampler = av.AudioResampler(stream.format, "mono", SAMPLE_RATE, stream.frame_size or 960)
        frame = av.AudioFrame.from_ndarray(pcm[None], "flt", "mono")
        frame.sample_rate = SAMPLE_RATE
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            writer.mux(stream.encode(piece))
        writer.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as reader:
        back = av.AudioResampler("flt", "mono", SAMPLE_RATE)
        frames = [f for packet in reader.decode(audio=0) for f in back.resample(packet)]
        frames += back.resample(None)
    decoded = np.concatenate([f.to_ndarray()[0] for f in frames])[: len(audio)]
    return np.pad(decoded, (0, len(audio) - len(decoded))) * np.float32(loudest / 0.8)


def transcode_some(audio: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Transcode each of ``audio [B, n]`` with a probability, by a random codec and bit rate."""
    # Clip by clip, so that a clip's draws do not depend on the size of the batch.
    draws = torch.stack([torch.rand(3, generator=generator) for _ in range(len(audio))]).tolist()
    chosen = [number for number, (chance, *_) in enumerate(draws) if chance < probability]
    if not chosen:
        return audio

    def lossy(clip: np.ndarray, number: int) -> np.ndarray:
        _, which, rate = draws[number]
        codec, container, rates = CODECS[int(which * len(CODECS))]
        return transcode(clip, codec, container, rates[int(rate * len(rates))])

    clips = audio[chosen].cpu().numpy()
    with ThreadPoolExecutor(min(len(chosen), os.cpu_count() or 1)) as pool:
        results = np.stack(list(pool.map(lossy, clips, chosen)))
    result = audio.clone()
    result[chosen] = torch.from_numpy(results).to(audio.device)
    return result
