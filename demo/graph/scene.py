"""What the tab Graph shows: a clip, its degraded version, and the graphs of one segment of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from demo import clips
from demo.clips import Clip, ClipError
from demo.studio import Studio
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation import Degradation, degrade
from grafprint.explore import graphs
from grafprint.explore.graphs import NodeGraph
from grafprint.fingerprint import Fingerprinter

SNR_DB = 5.0  # of the synthetic babble that is added if the visitor has not degraded the clip
SHOWN_S = 10.0  # how much of a track is used if the visitor has no clip
SEED = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """Two sounds ``[n]`` to compare, and their captions."""

    clean: np.ndarray
    degraded: np.ndarray
    names: tuple[str, str]

    @property
    def last_s(self) -> float:
        """Where the last segment of the shorter sound begins."""
        shorter = min(len(self.clean), len(self.degraded))
        return max(0.0, shorter / SAMPLE_RATE - 1)


@dataclass(frozen=True, eq=False)
class SegmentView:
    """One segment of a scene, clean and degraded: the encoder's input and its graphs.

    ``amplitude [2, mels, frames]`` is in 0..1; ``graphs`` holds the clean and the degraded blocks.
    """

    names: tuple[str, str]
    start_s: float
    amplitude: np.ndarray
    graphs: tuple[list[NodeGraph], list[NodeGraph]]


def scene(studio: Studio, clip: Clip | None, degraded: Clip | None, library: str) -> Scene:
    """The visitor's clip, or a track of the library, with its degraded version.

    Raises ClipError if it is shorter than a segment or no track can be read.
    """
    if clip is None:
        clip, degraded = _readable_track(studio, library), None
    if min(len(c.samples) for c in (clip, degraded or clip)) < SAMPLE_RATE:
        raise ClipError("a graph needs at least 1 s of sound: choose a longer clip on Identify")
    if degraded is not None:
        names = (f"Clean: {clip.name}", f"Degraded: {degraded.name}")
        return Scene(clip.samples, degraded.samples, names)
    noisy = degrade(clip.samples, Degradation(SNR_DB, "babble", seed=SEED))
    names = (f"Clean: {clip.name}", f"Degraded: synthetic babble, {SNR_DB:g} dB SNR")
    return Scene(clip.samples, noisy, names)


def _readable_track(studio: Studio, library: str) -> Clip:
    collection = studio.identifier(library).library
    for track in collection.tracks():
        try:
            return clips.from_track(collection, track, min(20.0, track.duration_s / 2), SHOWN_S)
        except ClipError:
            continue
    raise ClipError("choose a clip on Identify first: no track of this library can be played")


def view_segment(fingerprinter: Fingerprinter, shown: Scene, start_s: float) -> SegmentView:
    """The graphs of the segment of a scene that is nearest to a time, from one forward pass."""
    start_s = min(max(0.0, start_s), shown.last_s)
    inputs = torch.cat(
        [graphs.segment(fingerprinter, s, start_s) for s in (shown.clean, shown.degraded)]
    )
    _, (clean, degraded) = graphs.inspect(fingerprinter, inputs)
    begin_s = round(start_s / fingerprinter.hop_s) * fingerprinter.hop_s
    return SegmentView(shown.names, begin_s, inputs[:, 2].numpy(), (clean, degraded))
