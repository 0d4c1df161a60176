"""A made-up radio show of the library's own tracks, for who has no long recording at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import wavfile

from demo.clips import ClipError
from grafprint import audio
from grafprint.audio import AudioError
from grafprint.library import Library, Track
from grafprint.soundscapes import cafe

_PARTS_S = (16.0, 22.0, 14.0, 18.0)
_FADE_S = 3.0
_LEVEL = 0.1


def made(library: Library, rng: np.random.Generator, folder: Path) -> str:
    """Four tracks, cross-faded, people talking over one, and a pause: a WAV file in ``folder``.

    Raises ClipError if the library's audio is not at hand.
    """
    tracks = library.tracks()
    show, wanted_s = np.zeros(0, np.float32), list(_PARTS_S)
    for number in rng.permutation(len(tracks)):
        if not wanted_s:
            break
        if (part := _part(library, tracks[number], rng, wanted_s[0])) is not None:
            show = _faded(show, part, _FADE_S)
            del wanted_s[0]
    if not len(show):
        raise ClipError("the audio of this library is not at hand")
    talk = slice(20 * audio.SAMPLE_RATE, 26 * audio.SAMPLE_RATE)
    voices = cafe(len(show[talk]), rng)
    show[talk] = 0.5 * show[talk] + _LEVEL * voices / max(1e-9, float(np.sqrt(np.mean(voices**2))))
    pause = np.zeros(4 * audio.SAMPLE_RATE, np.float32)
    path = folder / "show.wav"
    wavfile.write(path, audio.SAMPLE_RATE, _int16(np.concatenate([show, pause])))
    return str(path)


def _part(
    library: Library, track: Track, rng: np.random.Generator, duration_s: float
) -> np.ndarray | None:
    path = library.audio_path(track)
    if path is None:
        return None
    start_s = float(rng.uniform(0, max(0.0, track.duration_s - duration_s)))
    try:
        part = audio.load(path, start_s=start_s, duration_s=duration_s)
    except AudioError:
        return None
    return _LEVEL * part / max(1e-9, float(np.sqrt(np.mean(part**2))))


def _faded(before: np.ndarray, part: np.ndarray, fade_s: float) -> np.ndarray:
    """One after the other, with equal power where they overlap."""
    n = min(round(fade_s * audio.SAMPLE_RATE), len(before), len(part))
    rise = np.sqrt(np.linspace(0, 1, n, dtype=np.float32))
    middle = before[len(before) - n :] * rise[::-1] + part[:n] * rise
    return np.concatenate([before[: len(before) - n], middle, part[n:]])


def _int16(samples: np.ndarray) -> np.ndarray:
    return np.round(samples.clip(-1, 1) * 32767).astype(np.int16)
