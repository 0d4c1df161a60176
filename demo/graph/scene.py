"""What the tab Graph looks at: a clip, the same clip degraded, and the graphs of one second."""

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

SNR_DB = 5.0  # of the crowd that is made up where the visitor has degraded nothing
SHOWN_S = 10.0  # how much of a track is shown where the visitor has no clip
SEED = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """Two sounds ``[n]`` to compare, and what each is in words."""

    clean: np.ndarray
    degraded: np.ndarray
    names: tuple[str, str]

    @property
    def last_s(self) -> float:
        """Where the last segment of the shorter of the two begins."""
        shorter = min(len(self.clean), len(self.degraded))
        return max(0.0, shorter / SAMPLE_RATE - 1)


@dataclass(frozen=True, eq=False)
class Look:
    """One segment of a scene: what the encoder saw of it, clean and degraded, and its graphs.

    ``amplitude [2, mels, frames]`` (0..1); ``graphs`` those of the clean segment and the degraded.
    """

    names: tuple[str, str]
    start_s: float
    amplitude: np.ndarray
    graphs: tuple[list[NodeGraph], list[NodeGraph]]


def scene(studio: Studio, clip: Clip | None, heard: Clip | None, library: str) -> Scene:
    """The visitor's clip, or a track of the library, beside what became of it.

    Raises ClipError if it is shorter than a segment or no track can be read.
    """
    if clip is None:
        clip, heard = _some_track(studio, library), None
    if min(len(c.samples) for c in (clip, heard or clip)) < SAMPLE_RATE:
        raise ClipError("a graph needs at least 1 s of sound: take a longer clip on Identify")
    if heard is not None:
        names = (f"Clean: {clip.name}", f"Degraded: {heard.name}")
        return Scene(clip.samples, heard.samples, names)
    noisy = degrade(clip.samples, Degradation(SNR_DB, "babble", seed=SEED))
    return Scene(
        clip.samples,
        noisy,
        (f"Clean: {clip.name}", f"Degraded: in a made-up crowd, {SNR_DB:g} dB SNR"),
    )


def _some_track(studio: Studio, library: str) -> Clip:
    found = studio.identifier(library).library
    for track in found.tracks():
        try:
            return clips.from_track(found, track, min(20.0, track.duration_s / 2), SHOWN_S)
        except ClipError:
            continue
    raise ClipError("take a clip on Identify first: no track of this library can be played")


def look(fingerprinter: Fingerprinter, shown: Scene, start_s: float) -> Look:
    """The graphs of the segments of a scene nearest a time, from one forward pass."""
    start_s = min(max(0.0, start_s), shown.last_s)
    inputs = torch.cat(
        [graphs.segment(fingerprinter, s, start_s) for s in (shown.clean, shown.degraded)]
    )
    _, (clean, degraded) = graphs.inspect(fingerprinter, inputs)
    hop_s = fingerprinter.hop_s
    return Look(
        shown.names, round(start_s / hop_s) * hop_s, inputs[:, 2].numpy(), (clean, degraded)
    )
