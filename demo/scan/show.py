"""A synthetic radio show of the library's own tracks, for visitors without a long recording."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from demo.clips import ClipError
from grafprint.audio import SAMPLE_RATE, AudioError
from grafprint.degradation.synthetic_noise import cafe
from grafprint.evaluation.mixes import Mix
from grafprint.remote.opening import AnyLibrary

_PARTS_S = (16.0, 22.0, 14.0, 18.0)
_FADE_S = 3.0


def write_show(library: AnyLibrary, rng: np.random.Generator, folder: Path) -> str:
    """Write a WAV file to ``folder``: four tracks, cross-faded, babble over one, and a pause.

    Raises ClipError if the library's audio files are missing.
    """
    tracks = library.tracks()
    mix = Mix(library)
    for number in rng.permutation(len(tracks)):
        if len(mix.parts) == len(_PARTS_S):
            break
        track, part_s = tracks[number], _PARTS_S[len(mix.parts)]
        with contextlib.suppress(AudioError):
            start_s = float(rng.uniform(0, max(0.0, track.duration_s - part_s)))
            mix.play(track, start_s, part_s, _FADE_S)
    if not mix.parts:
        raise ClipError("the audio files of this library are missing")
    mix.talk_over(20, cafe(6 * SAMPLE_RATE, rng))
    mix.silence(4)
    path = folder / "show.wav"
    mix.write(path)
    return str(path)
