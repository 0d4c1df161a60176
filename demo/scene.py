"""A clip beside its degraded version, as the tabs Graph and Tags compare them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo import clips
from demo.clips import Clip, ClipError
from demo.degraded import OWN, SNR_DB, plan
from demo.studio import Studio
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation import degrade

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
    def duration_s(self) -> float:
        """The length of the shorter sound."""
        return min(len(self.clean), len(self.degraded)) / SAMPLE_RATE

    @property
    def last_s(self) -> float:
        """Where the last segment of the shorter sound begins."""
        return max(0.0, self.duration_s - 1)


def scene(
    studio: Studio,
    clip: Clip | None,
    degraded: Clip | None,
    library: str,
    how: str = OWN,
    snr_db: float = SNR_DB,
) -> Scene:
    """The visitor's clip, or a track of the library, with a degraded version.

    ``how`` is one of the choices of :mod:`demo.degraded`, ``snr_db`` the level of its noise.
    Raises ClipError if it is shorter than a segment or no track can be read.
    """
    origin = clip
    if clip is None:
        clip, degraded = _readable_track(studio, library), None
    if how != OWN:
        degraded = None
    if min(len(c.samples) for c in (clip, degraded or clip)) < SAMPLE_RATE:
        raise ClipError("at least 1 s of sound is needed: choose a longer clip on Identify")
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
