"""Recordings for encoders that read many windows at once: in stretches, with sound around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from grafprint.models.encoders import Encoder
from grafprint.models.features import (
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
    chunks: Iterable[Tensor], logmel: LogMel, *, mirrored: bool = False
) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Stretches of a recording that arrives in pieces: ``(input, silent [m], which)``.

    ``which`` of the input's windows are not in a stretch before or after it; ``silent`` is of
    these. Stretches begin at the same places however the recording is cut into pieces. If
    ``mirrored``, the recording's beginning is put before it backwards, for encoders that have only
    learned from windows with sound around them. Raises ValueError when the audio is shorter than a
    window.
    """
    c = logmel.config
    stream = LogMelStream(logmel)
    pending, before, seen, lead = torch.zeros(0, c.n_mels), 0, 0, CONTEXT * c.hop_frames

    def part(first: int, end: int) -> tuple[Tensor, Tensor, slice]:
        total = count_windows(len(pending), c)
        frames = pending[: count_frames(min(end + CONTEXT, total), c)]
        return (
            stretch(frames, c), is_silent(slice_windows(pending, c)[first:end], c),
            slice(first, end),
        )  # fmt: skip

    def grow(frames: Tensor) -> None:
        nonlocal pending, before, mirrored
        pending = torch.cat([pending, frames])
        if mirrored and len(pending) >= lead:
            pending, before, mirrored = torch.cat([pending[:lead].flip(0), pending]), CONTEXT, False

    for chunk in chunks:
        seen += len(chunk)
        grow(stream.push(chunk))
        while count_windows(len(pending), c) >= before + LENGTH + CONTEXT:
            yield part(before, before + LENGTH)
            pending = pending[(before + LENGTH - CONTEXT) * c.hop_frames :]
            before = CONTEXT
    require_a_window(seen, c)
    grow(stream.finish())
    while before < (total := count_windows(len(pending), c)):
        end = min(before + LENGTH, total)
        yield part(before, end)
        if end == total:
            break
        pending = pending[(end - CONTEXT) * c.hop_frames :]
        before = CONTEXT
