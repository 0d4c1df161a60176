"""Cut recordings into chunks of many windows, with context, for encoders that read them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

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
)

LENGTH = 128  # windows in a chunk, without its context
CONTEXT = 10  # windows before and after a chunk, whose fingerprints come from its neighbours


def chunk_input(logmel: Tensor, config: FeatureConfig) -> Tensor:
    """Encoder input ``[1, 3, n_mels, frames]`` from a log-mel ``[frames, n_mels]`` in dB."""
    return add_positions(normalise(logmel.T[None], config))


def stream_chunks(
    pieces: Iterable[Tensor], logmel: LogMel, *, mirrored: bool = False
) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Chunks of a recording whose samples arrive in pieces: ``(input, silent [m], own)``.

    ``own`` selects the ``m`` windows that are not context, and ``silent`` is about these. Chunks
    begin at the same places however the samples are cut into pieces. ``mirrored`` puts the
    reversed beginning of the recording before it, for encoders trained only on windows with
    context on both sides. Raises ValueError if the audio is shorter than a window.
    """
    c = logmel.config
    stream = LogMelStream(logmel)
    pending, before, samples, lead = torch.zeros(0, c.n_mels), 0, 0, CONTEXT * c.hop_frames

    def cut(first: int, end: int) -> tuple[Tensor, Tensor, slice]:
        total = count_windows(len(pending), c)
        frames = pending[: count_frames(min(end + CONTEXT, total), c)]
        silent = is_silent(slice_windows(pending, c)[first:end], c)
        return chunk_input(frames, c), silent, slice(first, end)

    def append(frames: Tensor) -> None:
        nonlocal pending, before, mirrored
        pending = torch.cat([pending, frames])
        if mirrored and len(pending) >= lead:
            pending, before, mirrored = torch.cat([pending[:lead].flip(0), pending]), CONTEXT, False

    for piece in pieces:
        samples += len(piece)
        append(stream.push(piece))
        while count_windows(len(pending), c) >= before + LENGTH + CONTEXT:
            yield cut(before, before + LENGTH)
            pending = pending[(before + LENGTH - CONTEXT) * c.hop_frames :]
            before = CONTEXT
    require_a_window(samples, c)
    append(stream.finish())
    while before < (total := count_windows(len(pending), c)):
        end = min(before + LENGTH, total)
        yield cut(before, end)
        if end == total:
            break
        pending = pending[(end - CONTEXT) * c.hop_frames :]
        before = CONTEXT
