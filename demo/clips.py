"""The clip that a visitor works with: chosen on the tab Identify, used by all tabs."""

from __future__ import annotations

import base64
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from grafprint import audio, matching
from grafprint.library import LibraryError, Track
from grafprint.remote.opening import AnyLibrary

LONGEST_S = 4 * 3600  # the most that is decoded of a file: a small one can hold days of sound
PAST_S = 2.0  # music before a clip cut from a library, for the reverberation at its start


class ClipError(ValueError):
    """A clip that cannot be used; the message is for the visitor and contains no path."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Mono ``samples [n]`` (float32, 16 kHz), at most 30 s, and their origin.

    ``offset_s`` is where in its file the clip begins. ``past [m]`` is the music right before it,
    if known. ``place`` is the track id and second of a clip that was cut from a library, ``path``
    the file it was cut from, if any; ``whole_s`` is the length of a file that was chosen (0: not
    known), of which the clip is the loudest part.
    """

    samples: np.ndarray
    name: str
    offset_s: float = 0.0
    past: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    place: tuple[int, float] | None = None
    path: Path | None = None
    whole_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / audio.SAMPLE_RATE

    def playable(self) -> tuple[int, np.ndarray]:
        """Rate in Hz and int16 samples ``[n]``, for Gradio's player."""
        return playable(self.samples)


def playable(samples: np.ndarray) -> tuple[int, np.ndarray]:
    """Samples ``[n]`` in the form that Gradio's player needs: rate in Hz, int16 ``[n]``."""
    return audio.SAMPLE_RATE, np.round(samples.clip(-1, 1) * 32767).astype(np.int16)


def wav_uri(samples: np.ndarray) -> str:
    """Samples ``[n]`` as a data URI of a WAV file, for the scripts of the page."""
    data = io.BytesIO()
    wavfile.write(data, *playable(samples))
    return "data:audio/wav;base64," + base64.b64encode(data.getvalue()).decode()


def from_file(path: str | None) -> Clip:
    """The loudest 30 s of a file's first four hours. Raises ClipError if it cannot be used."""
    if not path:
        raise ClipError("there is no clip: record one or choose a file")
    name = Path(path).name
    if not Path(path).exists():
        raise ClipError(
            f"“{name}” has been deleted, because clips are kept for an hour: choose it again"
        )
    try:
        seconds = _Counted(itertools.islice(audio.stream(path, chunk_s=1.0), LONGEST_S))
        samples, start_s = matching.loudest(seconds)
    except audio.AudioError as error:
        raise ClipError(str(error).replace(path, name)) from error
    return Clip(
        samples, name, start_s, path=Path(path), whole_s=seconds.samples / audio.SAMPLE_RATE
    )


class _Counted:
    """Pieces of sound, and the number of samples of those that were taken."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self._pieces = pieces
        self.samples = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self._pieces:
            self.samples += len(piece)
            yield piece


def example(folder: Path | None) -> Clip | None:
    """The first example of a folder, or None."""
    if folder is None or not (listing := folder / "examples.json").is_file():
        return None
    first = json.loads(listing.read_text(encoding="utf-8"))[0]
    return from_file(str(folder / first["file"]))


def from_track(library: AnyLibrary, track: Track, start_s: float, duration_s: float) -> Clip:
    """A part of a library's track, with the music before it.

    Raises ClipError if the track's file is missing or ends before ``start_s``.
    """
    path = library.audio_path(track)
    if path is None:
        raise ClipError(f"the file of “{track.title}” is not where the library says")
    past_s = min(PAST_S, start_s)
    try:
        music = audio.load(path, start_s=start_s - past_s, duration_s=past_s + duration_s)
    except (audio.AudioError, LibraryError) as error:
        raise ClipError(str(error).replace(str(path), path.name)) from error
    past = round(past_s * audio.SAMPLE_RATE)
    return Clip(music[past:], track.title, start_s, music[:past], (track.id, start_s), path)
