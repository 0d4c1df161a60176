"""What the tab Degrade makes of a clip and its controls: the sound, pictures of it, the verdict."""

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

# Of longer clips the first so much is used: it has to be quick.
LONGEST_S = 10.0
HIGHEST_HZ = audio.SAMPLE_RATE / 2
NOTHING_RIGHT = (
    "the clip is not identified without degradation either, so there is nothing to break: take one "
    "of music that the library has"
)
# Values of the controls beside the made noises: see Values.
NONE, OWN, MADE, RECORDED = "none", "own", "made", "recorded: "


@dataclass(frozen=True, eq=False)
class Taken:
    """A clip to degrade, and what is right for it if that is known.

    ``origin`` is the visit's clip that it was taken from (None: a track of the library), ``chosen``
    what was chosen on the tab, and ``picture`` its spectrogram.
    """

    clip: Clip
    truth: GroundTruth | None
    picture: str
    origin: Clip | None
    chosen: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Own:
    """The visitor's own noise and room response ``[m]``, as far as there are any."""

    noise: NoiseBank | None = None
    room: np.ndarray | None = None


@dataclass(frozen=True)
class Values:
    """The controls' values, in their order; see Degradation for what they mean.

    ``noise`` is NONE, a kind, OWN, or RECORDED and a name; ``room`` is NONE, MADE, OWN, or
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
    """What the controls ask for. Raises ClipError if a file is missing or a value impossible."""
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


def take(identifier: Identifier, clip: Clip, origin: Clip | None, chosen: tuple[Any, ...]) -> Taken:
    """A clip made ready to be degraded. Raises ClipError if it cannot be looked up."""
    short = replace(clip, samples=clip.samples[: round(LONGEST_S * audio.SAMPLE_RATE)])
    truth = _place(identifier, clip) or truth_from(
        identifier.answer(replace(short, offset_s=0.0), top=1)
    )
    return Taken(
        short, truth, _picture(identifier, short.samples, "The clean clip"), origin, chosen
    )


def degraded(clip: Clip, wanted: Degradation) -> Clip:
    """What becomes of a clip. Raises ClipError if it cannot be done."""
    try:
        samples = degrade(clip.samples, wanted, clip.past)
    except ValueError as error:
        raise ClipError(str(error)) from error
    # The music before it is not what is heard before it any more.
    return replace(clip, samples=samples, past=np.empty(0, np.float32))


def pictures(identifier: Identifier, taken: Taken, heard: Clip) -> str:
    """The spectrograms of the clean clip and of what became of it, one above the other."""
    return taken.picture + _picture(identifier, heard.samples, "What is heard")


def verdict(identifier: Identifier, taken: Taken, heard: Clip) -> str:
    """The card that says what the degraded clip is taken for. Raises ClipError as answer does."""
    # The place of a clip is that of its first sample, however far into a file that was.
    answer = identifier.answer(replace(heard, offset_s=0.0), top=2)
    return cards.verdict(answer, taken.truth, identifier.library.hop_s)


def swept(identifier: Identifier, taken: Taken, wanted: Degradation) -> Iterator[Point]:
    """How the clip fares at one SNR after the other. Raises ClipError if that cannot be tried."""
    assert taken.truth is not None  # else there is nothing to judge by
    library, fingerprinter = identifier.library, identifier.fingerprinter
    try:
        yield from sweep(
            library, fingerprinter, taken.clip.samples, wanted, taken.truth, taken.clip.past
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


def _place(identifier: Identifier, clip: Clip) -> GroundTruth | None:
    """Where a clip was cut from, if that was this library."""
    if clip.place is None:
        return None
    track_id, start_s = clip.place
    try:
        track = identifier.library.track(track_id)
    except LibraryError:
        return None
    return GroundTruth(track_id, start_s, given=True) if track.title == clip.name else None


def _picture(identifier: Identifier, samples: np.ndarray, caption: str) -> str:
    if len(samples) < audio.SAMPLE_RATE:
        raise ClipError("the clip is shorter than a second: record or choose more")
    logmel = identifier.fingerprinter.logmel(torch.from_numpy(samples)).numpy()
    image = plots.spectrogram(logmel, f"{caption} as a spectrogram, low notes below")
    scale = f"{len(samples) / audio.SAMPLE_RATE:.0f} s, 0 to 8 kHz"
    return f"<figure>{image}<figcaption>{escape(caption)} ({scale})</figcaption></figure>"
