"""From a clip and the controls of the tab Degrade to a sound, its spectrogram and a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from math import inf
from typing import Any

import numpy as np
import torch

from demo import cards, plots
from demo.clips import Clip, ClipError
from demo.degrade.recordings import Recordings
from demo.identifier import Identifier
from grafprint import audio
from grafprint.degradation import Degradation, degrade
from grafprint.degradation.banks import NoiseBank
from grafprint.evaluation.breaking_point import GroundTruth, Point, sweep, truth_from
from grafprint.library import LibraryError

# Longer clips are cut to their beginning, so that sliders stay responsive.
LONGEST_S = 10.0
HIGHEST_HZ = audio.SAMPLE_RATE / 2
NO_TRUTH = (
    "the clip is not identified without degradation either, so there is no breaking point: choose "
    "one of music in the library"
)
# Values of the controls beside the kinds of synthetic noise: see Values.
NONE, OWN, SIMULATED, RECORDED = "none", "own", "simulated", "recorded: "


@dataclass(frozen=True, eq=False)
class SourceClip:
    """A clip to degrade, and the right answer for it if known.

    ``origin`` is the visit's clip that it was cut from (None: a track of the library), ``chosen``
    the choice on the tab, and ``picture`` its spectrogram.
    """

    clip: Clip
    truth: GroundTruth | None
    picture: str
    origin: Clip | None
    chosen: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Own:
    """The visitor's own noise and room response ``[m]``, if any."""

    noise: NoiseBank | None = None
    room: np.ndarray | None = None


@dataclass(frozen=True)
class Values:
    """The values of the controls, in their order; Degradation explains them.

    ``noise`` is NONE, a kind, OWN, or RECORDED and a name; ``room`` is NONE, SIMULATED, OWN, or
    RECORDED and a name. Shares are in percent.
    """

    noise: str
    snr_db: float
    room: str
    rt60_s: float
    wet: float
    low_hz: float
    high_hz: float
    clip_at: float
    codec: str
    seed: float


def plan(values: Values, own: Own, recordings: Recordings) -> Degradation:
    """The degradation set by the controls. Raises ClipError for a missing file or a bad value."""
    try:
        return Degradation(
            snr_db=None if values.noise == NONE else float(values.snr_db),
            noise=_noise(values.noise, own, recordings),
            room=_room(values, own, recordings),
            wet=values.wet / 100,
            low_hz=float(values.low_hz),
            high_hz=inf if values.high_hz >= HIGHEST_HZ else float(values.high_hz),
            clip_share=values.clip_at / 100,
            codec=None if values.codec == NONE else values.codec,
            seed=int(values.seed),
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(str(error)) from error


def prepare(
    identifier: Identifier, clip: Clip, origin: Clip | None, chosen: tuple[Any, ...]
) -> SourceClip:
    """Cut a clip to length and find its right answer. Raises ClipError if it cannot be used."""
    short = replace(clip, samples=clip.samples[: round(LONGEST_S * audio.SAMPLE_RATE)])
    truth = _known_truth(identifier, clip) or truth_from(
        identifier.answer(replace(short, offset_s=0.0), top=1)
    )
    picture = _spectrogram(identifier, short.samples, "Clean clip")
    return SourceClip(short, truth, picture, origin, chosen)


def degrade_clip(clip: Clip, steps: Degradation) -> Clip:
    """Degrade a clip. Raises ClipError if that is not possible."""
    try:
        samples = degrade(clip.samples, steps, clip.past)
    except ValueError as error:
        raise ClipError(str(error)) from error
    # The music before the clip is clean, so it does not precede the degraded one.
    return replace(clip, samples=samples, past=np.empty(0, np.float32))


def spectrograms(identifier: Identifier, source: SourceClip, degraded: Clip) -> str:
    """The spectrograms of the clean and the degraded clip, one above the other."""
    return source.picture + _spectrogram(identifier, degraded.samples, "Degraded clip")


def verdict(identifier: Identifier, source: SourceClip, degraded: Clip) -> str:
    """The card with the answer for the degraded clip. Raises ClipError as ``answer`` does."""
    # Times are relative to the clip's first sample, wherever in a file that was.
    answer = identifier.answer(replace(degraded, offset_s=0.0), top=2)
    return cards.verdict(answer, source.truth, identifier.library.hop_s)


def sweep_snrs(identifier: Identifier, source: SourceClip, steps: Degradation) -> Iterator[Point]:
    """The results at one SNR after another. Raises ClipError if the clip cannot be degraded."""
    assert source.truth is not None  # checked by the callers
    library, fingerprinter = identifier.library, identifier.fingerprinter
    try:
        yield from sweep(
            library, fingerprinter, source.clip.samples, steps, source.truth, source.clip.past
        )
    except ValueError as error:  # MatchError is one
        raise ClipError(str(error)) from error


def _noise(name: str, own: Own, recordings: Recordings) -> str | NoiseBank:
    if name == OWN:
        if own.noise is None:
            raise ClipError("choose a file with your own noise first")
        return own.noise
    if name.startswith(RECORDED):
        return recordings.noise(name.removeprefix(RECORDED))
    return "pink" if name == NONE else name


def _room(values: Values, own: Own, recordings: Recordings) -> float | np.ndarray | None:
    if values.room == NONE:
        return None
    if values.room == OWN:
        if own.room is None:
            raise ClipError("choose a file with your own room response first")
        return own.room
    if values.room.startswith(RECORDED):
        return recordings.room(values.room.removeprefix(RECORDED))
    return float(values.rt60_s)


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
