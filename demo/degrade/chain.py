"""From a clip and a degradation to a sound, its spectrogram and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch

from demo import cards, plots
from demo.clips import Clip, ClipError
from demo.identifier import Identifier
from grafprint import audio
from grafprint.degradation import Degradation, degrade
from grafprint.evaluation.breaking_point import GroundTruth, Point, sweep, truth_from
from grafprint.library import LibraryError

# Longer clips are cut to their beginning, so that sliders stay responsive.
LONGEST_S = 10.0
NO_TRUTH = (
    "the clip is not identified without degradation either, so there is no breaking point: choose "
    "one of music in the library"
)


@dataclass(frozen=True, eq=False)
class SourceClip:
    """A clip to degrade, and the right answer for it if known.

    ``origin`` is the visit's clip that it was cut from (None: a track of the library), ``chosen``
    the choice on the tab, ``picture`` its spectrogram, and ``stereo`` whether one channel of its
    file can be played alone.
    """

    clip: Clip
    truth: GroundTruth | None
    picture: str
    origin: Clip | None
    chosen: tuple[Any, ...]
    stereo: bool = False


def prepare(
    identifier: Identifier, clip: Clip, origin: Clip | None, chosen: tuple[Any, ...]
) -> SourceClip:
    """Cut a clip to length and find its right answer. Raises ClipError if it cannot be used."""
    short = shorten(clip)
    truth = _known_truth(identifier, clip) or truth_from(
        identifier.answer(replace(short, offset_s=0.0), top=1)
    )
    picture = _spectrogram(identifier, short.samples, "Clean clip")
    return SourceClip(short, truth, picture, origin, chosen, _is_stereo(short.path))


def shorten(clip: Clip) -> Clip:
    """The beginning of a clip, LONGEST_S of it."""
    return replace(clip, samples=clip.samples[: round(LONGEST_S * audio.SAMPLE_RATE)])


def one_channel(clip: Clip, channel: int | None) -> Clip:
    """The clip as a loudspeaker plays it that has only one channel of it; None: the mix.

    Raises ClipError if the file that it was cut from is no longer there.
    """
    if channel is None or not _is_stereo(clip.path):
        return clip
    assert clip.path is not None
    past = len(clip.past)
    begin = round(clip.offset_s * audio.SAMPLE_RATE) - past
    try:
        music = _read(clip.path, begin, past + len(clip.samples), channel)
    except audio.AudioError as error:
        raise ClipError(str(error).replace(str(clip.path), clip.path.name)) from error
    return replace(clip, samples=music[past:], past=music[:past])


@lru_cache(maxsize=8)
def _read(path: Path, begin: int, samples: int, channel: int) -> np.ndarray:
    rate = audio.SAMPLE_RATE
    return audio.load(path, start_s=begin / rate, duration_s=samples / rate, channel=channel)


def _is_stereo(path: Path | None) -> bool:
    if path is None or not path.is_file():
        return False
    try:
        return audio.probe(path).channels > 1
    except audio.AudioError:
        return False


def degrade_clip(clip: Clip, steps: Degradation) -> Clip:
    """Degrade a clip. Raises ClipError if that is not possible."""
    try:
        samples = degrade(clip.samples, steps, clip.past)
    except ValueError as error:
        raise ClipError(str(error)) from error
    # The music before the clip is clean, so it does not precede the degraded one.
    return replace(clip, samples=samples, past=np.empty(0, np.float32))


def spectrograms(identifier: Identifier, source: SourceClip, degraded: Clip, speed: float) -> str:
    """The spectrograms of the clean and the degraded clip, one above the other.

    The ``speed`` is for the script that switches between the two at the same moment.
    """
    picture = _spectrogram(identifier, degraded.samples, "Degraded clip")
    return f'<div data-speed="{speed:g}">{source.picture}{picture}</div>'


def verdict(identifier: Identifier, source: SourceClip, degraded: Clip, steps: Degradation) -> str:
    """The card with the answer for the degraded clip. Raises ClipError as ``answer`` does."""
    # Times are relative to the clip's first sample, wherever in a file that was.
    answer = identifier.answer(replace(degraded, offset_s=0.0), top=2)
    slack_s = identifier.library.hop_s + steps.drift_s(len(degraded.samples))
    return cards.verdict(answer, source.truth, slack_s)


def sweep_snrs(
    identifier: Identifier, source: SourceClip, clip: Clip, steps: Degradation
) -> Iterator[Point]:
    """The results for ``clip``, the source's or one channel of it, at one SNR after another.

    Raises ClipError if it cannot be degraded.
    """
    assert source.truth is not None  # checked by the callers
    library, fingerprinter = identifier.library, identifier.fingerprinter
    try:
        yield from sweep(library, fingerprinter, clip.samples, steps, source.truth, clip.past)
    except ValueError as error:  # MatchError is one
        raise ClipError(str(error)) from error


def _known_truth(identifier: Identifier, clip: Clip) -> GroundTruth | None:
    """Where a clip was cut from, if it was cut from this library."""
    if clip.place is None:
        return None
    track_id, start_s = clip.place
    try:
        track = identifier.library.track(track_id)
    except LibraryError:
        return None
    return GroundTruth(track_id, start_s, given=True) if track.title == clip.name else None


def _spectrogram(identifier: Identifier, samples: np.ndarray, caption: str) -> str:
    if len(samples) < audio.SAMPLE_RATE:
        raise ClipError("the clip is shorter than 1 s: record or choose a longer one")
    logmel = identifier.fingerprinter.logmel(torch.from_numpy(samples)).numpy()
    image = plots.spectrogram(logmel, f"{caption} as a spectrogram, low frequencies below")
    scale = f"{len(samples) / audio.SAMPLE_RATE:.0f} s, 0 to 8 kHz"
    return f"<figure>{image}<figcaption>{escape(caption)} ({scale})</figcaption></figure>"
