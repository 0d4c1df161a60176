"""What the tab Graph shows: a clip, its degraded version, and the graphs of one segment of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from demo import clips
from demo.clips import Clip, ClipError
from demo.graph.degraded import OWN, SNR_DB, plan
from demo.studio import Studio
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation import degrade
from grafprint.explore import graphs, patches
from grafprint.explore.graphs import NodeGraph
from grafprint.fingerprint import Fingerprinter
from grafprint.models.features import FeatureConfig

SHORT_S, PAUSE_S = 0.3, 0.15  # patches up to this length are repeated, after a pause
SHOWN_S = 10.0  # how much of a track is used if the visitor has no clip


@dataclass(frozen=True, eq=False)
class Scene:
    """Two sounds ``[n]`` to compare, and their captions.

    ``origin`` is the visitor's clip, or None if it is a track of the library.
    """

    clean: np.ndarray
    degraded: np.ndarray
    names: tuple[str, str]
    origin: Clip | None

    @property
    def last_s(self) -> float:
        """Where the last segment of the shorter sound begins."""
        shorter = min(len(self.clean), len(self.degraded))
        return max(0.0, shorter / SAMPLE_RATE - 1)


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


def scene(
    studio: Studio,
    clip: Clip | None,
    degraded: Clip | None,
    library: str,
    how: str = OWN,
    snr_db: float = SNR_DB,
) -> Scene:
    """The visitor's clip, or a track of the library, with a degraded version.

    ``how`` is one of the choices of :mod:`demo.graph.degraded`, ``snr_db`` the level of its noise.
    Raises ClipError if it is shorter than a segment or no track can be read.
    """
    origin = clip
    if clip is None:
        clip, degraded = _readable_track(studio, library), None
    if how != OWN:
        degraded = None
    if min(len(c.samples) for c in (clip, degraded or clip)) < SAMPLE_RATE:
        raise ClipError("a graph needs at least 1 s of sound: choose a longer clip on Identify")
    if degraded is not None:
        names = (f"Clean: {clip.name}", f"Degraded: {degraded.name}")
        return Scene(clip.samples, degraded.samples, names, origin)
    wanted, name = plan(how, snr_db)
    # The music before the clip is heard only in a room.
    changed = degrade(clip.samples, wanted, None if wanted.room is None else clip.past)
    return Scene(clip.samples, changed, (f"Clean: {clip.name}", f"Degraded: {name}"), origin)


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
