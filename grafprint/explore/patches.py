"""What a node of a graph hears: the part of a segment's sound that its patch covers."""

from __future__ import annotations

import numpy as np

from grafprint.explore.graphs import NodeGraph
from grafprint.models.features import FeatureConfig, mel_bin_hz

_FADE_S = 0.005
_SLOPE = 0.2  # of the band's width, on either side
PEAK = 0.5  # of a patch: most are much quieter than the whole


def patch_limits(
    graph: NodeGraph, node: int, config: FeatureConfig
) -> tuple[float, float, float, float]:
    """Where the patch of a node begins and ends in the segment in s, and its band in Hz.

    It is the node's cell of the grid; through the convolutions before, the node also depends on
    what is around it. Raises IndexError if there is no such node.
    """
    if not 0 <= node < graph.nodes:
        raise IndexError(f"the block has nodes 0 to {graph.nodes - 1}")
    rows, columns = graph.grid
    row, column = divmod(node, columns)
    # A frame or mel bin reaches half a step to either side of its middle.
    frames = np.array([column, column + 1]) * config.window_frames / columns - 0.5
    begin, end = frames * config.hop_length / config.sample_rate_hz
    low, high = mel_bin_hz(np.array([row, row + 1]) * config.n_mels / rows - 0.5, config)
    return max(0.0, float(begin)), min(config.window_s, float(end)), float(low), float(high)


def patch_sound(
    segment: np.ndarray, graph: NodeGraph, node: int, config: FeatureConfig
) -> np.ndarray:
    """The sound of a node's patch: float32 ``[m]``, from a segment's samples ``[n]``.

    Cut from the segment in time and frequency, with soft edges, and amplified to :data:`PEAK`.
    Raises IndexError if there is no such node.
    """
    begin_s, end_s, low, high = patch_limits(graph, node, config)
    hz = np.fft.rfftfreq(len(segment), 1 / config.sample_rate_hz)
    slope = _SLOPE * (high - low)
    away = np.maximum(np.maximum(low - hz, hz - high), 0)  # from the band
    gain = 0.5 + 0.5 * np.cos(np.pi * np.minimum(away / slope, 1))
    band = np.fft.irfft(np.fft.rfft(segment) * gain, len(segment))
    begin, end = (round(s * config.sample_rate_hz) for s in (begin_s, end_s))
    patch = band[begin:end]
    fade = min(round(_FADE_S * config.sample_rate_hz), len(patch) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / fade)
    patch[:fade] *= ramp
    patch[len(patch) - fade :] *= ramp[::-1]
    return (patch * (PEAK / max(np.abs(patch).max(initial=0), 1e-9))).astype(np.float32)
