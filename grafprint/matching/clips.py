"""Identify a clip: its loudest seconds, as a whole and, if that fails, part by part."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from grafprint import audio
from grafprint.audio.landmarks import contrast
from grafprint.errors import MatchError
from grafprint.matching.collection import Collection
from grafprint.matching.identification import Answer, identify, shift_answer
from grafprint.matching.parts import identify_part

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

LONGEST_S = 30.0  # how much of a clip is used


def identify_audio(
    library: Collection,
    fingerprinter: Fingerprinter,
    samples: np.ndarray,
    *,
    longest_s: float = LONGEST_S,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
    looks: int = 1,
) -> Answer:
    """Find the recording that mono ``samples [n]`` at 16 kHz come from; see :func:`identify`.

    If the clip is longer than ``longest_s``, only its loudest ``longest_s`` seconds are used (the
    first of equally loud ones). If these are not identified as a whole, a part of them may be. The
    answer says which part it is about.

    Raises MatchError if the clip is silent or shorter than a segment, LibraryError if another
    network made the library, ValueError if samples are not finite or not ``[n]``.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"mono audio [samples] is expected, got an array of {samples.shape}")
    pieces = np.split(samples, range(audio.SAMPLE_RATE, len(samples), audio.SAMPLE_RATE))
    library.check_query(fingerprinter)
    clip, start_s = loudest(pieces, longest_s)
    answer = _identify_clip(
        library,
        fingerprinter,
        clip,
        start_s,
        top_k=top_k,
        k=k,
        confidence=confidence,
        looks=looks,
    )
    return replace(answer, part=answer.part or len(clip) < len(samples))


def identify_file(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    longest_s: float = LONGEST_S,
    top_k: int = 5,
    k: int | None = None,
    confidence: float | None = None,
) -> Answer:
    """Find the recording that a file comes from, or ``duration_s`` seconds of it from ``start_s``.

    Like :func:`identify_audio`, with ``query_start_s`` counted from the beginning of the file.
    Memory is bounded however long the file is. Also raises AudioError if it cannot be read.
    """
    library.check_query(fingerprinter)
    # In pieces of a second, to choose the loudest part in one pass without holding the whole file.
    pieces = audio.stream(path, chunk_s=1.0, start_s=start_s, duration_s=duration_s)
    total = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal total
        for piece in pieces:
            total += len(piece)
            yield piece

    clip, offset_s = loudest(counted(), longest_s)
    answer = _identify_clip(
        library, fingerprinter, clip, start_s + offset_s, top_k=top_k, k=k, confidence=confidence
    )
    return replace(answer, part=answer.part or len(clip) < total)


def _identify_clip(
    library: Collection,
    fingerprinter: Fingerprinter,
    clip: np.ndarray,
    start_s: float,
    *,
    top_k: int,
    k: int | None,
    confidence: float | None,
    looks: int = 1,
) -> Answer:
    duration_s = len(clip) / audio.SAMPLE_RATE
    if duration_s < fingerprinter.window_s:
        raise MatchError(
            f"the clip is {duration_s:.2f} s long, and at least {fingerprinter.window_s:g} s is "
            "needed: record or choose more"
        )
    fingerprints = fingerprinter(clip)
    spectrum = contrast(clip) if library.has_landmarks else None
    answer = identify(
        library,
        fingerprints,
        spectrum=spectrum,
        top_k=top_k,
        k=k,
        confidence=confidence,
        looks=looks,
    )
    if not answer.identified:
        part = identify_part(
            library, fingerprints, spectrum, top_k=top_k, k=k, confidence=confidence, looks=looks
        )
        if part is not None:
            return shift_answer(part, start_s)
    return replace(answer, query_start_s=start_s, query_duration_s=duration_s)


def loudest(pieces: Iterable[np.ndarray], longest_s: float = LONGEST_S) -> tuple[np.ndarray, float]:
    """The loudest ``longest_s`` seconds of audio in one-second pieces, and where they begin.

    The first of equally loud parts. One pass, which holds no more than these seconds.
    """
    size = max(1, round(longest_s))
    window: deque[np.ndarray] = deque(maxlen=size)
    energies: deque[float] = deque(maxlen=size)
    loudest, most, begin = [np.empty(0, np.float32)], -1.0, 0
    for number, piece in enumerate(pieces):
        window.append(piece)
        energies.append(float(np.square(piece, dtype=np.float64).sum()))
        total = math.fsum(energies)
        if len(window) < size or number < size or total > most:
            loudest, most, begin = list(window), total, number + 1 - len(window)
    return np.concatenate(loudest), float(begin)
