"""Recordings for encoders that read many windows at once: in stretches, with sound around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from grafprint.encoders import Encoder
from grafprint.features import (
    FeatureConfig,
    LogMel,
    LogMelStream,
    add_positions,
    count_frames,
    count_windows,
    is_silent,
    normalise,
    require_a_window,
    slice_windows,
    windows,
)

LENGTH = 128  # windows of a stretch
CONTEXT = 10  # windows before and after it, whose fingerprints are left to the neighbours


def reading(encoder: Encoder, logmel: Tensor, config: FeatureConfig) -> Tensor:
    """What the encoder takes of a log-mel ``[frames, n_mels]``: its windows, or one stretch."""
    if encoder.stretch == 1:
        return windows(logmel, config)
    return stretch(logmel[: count_frames(count_windows(len(logmel), config), config)], config)


def stretch(logmel: Tensor, config: FeatureConfig) -> Tensor:
    """Encoder input ``[1, 3, n_mels, frames]`` of a log-mel ``[frames, n_mels]`` in dB."""
    return add_positions(normalise(logmel.T[None], config))


def stream_stretches(
    chunks: Iterable[Tensor], logmel: LogMel
) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Stretches of a recording that arrives in pieces: ``(input, silent [m], which)``.

    ``which`` of the input's windows are not in a stretch before or after it; ``silent`` is of
    these. Stretches begin at the same places however the recording is cut into pieces. Raises
    ValueError when the audio is shorter than a window.
    """
    c = logmel.config
    stream = LogMelStream(logmel)
    pending, before, seen = torch.zeros(0, c.n_mels), 0, 0

    def part(first: int, end: int) -> tuple[Tensor, Tensor, slice]:
        total = count_windows(len(pending), c)
        frames = pending[: count_frames(min(end + CONTEXT, total), c)]
        return (
            stretch(frames, c), is_silent(slice_windows(pending, c)[first:end], c),
            slice(first, end),
        )  # fmt: skip

    for chunk in chunks:
        seen += len(chunk)
        pending = torch.cat([pending, stream.push(chunk)])
        while count_windows(len(pending), c) >= before + LENGTH + CONTEXT:
            yield part(before, before + LENGTH)
            pending = pending[(before + LENGTH - CONTEXT) * c.hop_frames :]
            before = CONTEXT
    require_a_window(seen, c)
    pending = torch.cat([pending, stream.finish()])
    while before < (total := count_windows(len(pending), c)):
        end = min(before + LENGTH, total)
        yield part(before, end)
        if end == total:
            break
        pending = pending[(end - CONTEXT) * c.hop_frames :]
        before = CONTEXT
