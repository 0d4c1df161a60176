"""What the tab Graph shows: the graphs of one segment of a clip and of its degraded version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from demo.clips import ClipError
from demo.scene import Scene
from grafprint.audio import SAMPLE_RATE
from grafprint.explore import graphs, patches
from grafprint.explore.graphs import NodeGraph
from grafprint.fingerprint import Fingerprinter
from grafprint.models.features import FeatureConfig

SHORT_S, PAUSE_S = 0.3, 0.15  # patches up to this length are repeated, after a pause


@dataclass(frozen=True, eq=False)
class SegmentView:
    """One segment of a scene, clean and degraded: the encoder's input and its graphs.

    ``amplitude [2, mels, frames]`` is in 0..1; ``graphs`` holds the clean and the degraded blocks,
    ``sounds`` the samples ``[n]``.
    """

    names: tuple[str, str]
    start_s: float
    amplitude: np.ndarray
    graphs: tuple[list[NodeGraph], list[NodeGraph]]
    sounds: tuple[np.ndarray, np.ndarray]


def view_segment(fingerprinter: Fingerprinter, shown: Scene, start_s: float) -> SegmentView:
    """The graphs of the segment of a scene that is nearest to a time, from one forward pass."""
    start_s = min(max(0.0, start_s), shown.last_s)
    inputs = torch.cat(
        [graphs.segment(fingerprinter, s, start_s) for s in (shown.clean, shown.degraded)]
    )
    _, (clean, degraded) = graphs.inspect(fingerprinter, inputs)
    begin_s = round(start_s / fingerprinter.hop_s) * fingerprinter.hop_s
    first = round(begin_s * SAMPLE_RATE)
    length = fingerprinter.features.window_samples
    cut = (shown.clean[first : first + length], shown.degraded[first : first + length])
    return SegmentView(shown.names, begin_s, inputs[:, 2].numpy(), (clean, degraded), cut)


def sound(
    view: SegmentView, side: int, block: int, node: int | None, features: FeatureConfig
) -> np.ndarray:
    """The sound ``[m]`` of a segment's side (0: clean), or of a node's patch; short ones thrice.

    Raises ClipError if there is no such side, block or node.
    """
    try:
        if min(side, block) < 0:
            raise IndexError
        samples = view.sounds[side]
        if node is None:
            return samples
        patch = patches.patch_sound(samples, view.graphs[side][block], node, features)
    except IndexError as error:
        raise ClipError("there is no such node") from error
    if len(patch) > SHORT_S * SAMPLE_RATE:
        return patch
    once = np.concatenate([patch, np.zeros(round(PAUSE_S * SAMPLE_RATE), np.float32)])
    return np.tile(once, 3)
