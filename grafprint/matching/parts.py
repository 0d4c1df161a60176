"""Find music that fills only a part of a clip: before or after talk, noise, or other music.

The score of a clip is a mean over all of it, which other sound pulls down. Where the clip as a
whole is not identified, windows of a few seconds are looked at, and those that agree are joined.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grafprint.audio.landmarks import FRAME_S, ROW_FRAMES
from grafprint.matching.collection import Collection
from grafprint.matching.identification import Answer, identify_many

LOOK_S, EVERY_S = 5.0, 2.5  # length of a window, and from one to the next
AGREEMENT_S = 0.3  # between the places in the track that windows of the same play lead to

_Span = tuple[int, int]  # a part of a clip: its first segment, and the one after its last


def identify_part(
    library: Collection,
    fingerprints: np.ndarray,
    spectrum: np.ndarray | None,
    *,
    top_k: int,
    k: int | None,
    confidence: float | None,
    looks: int,
) -> Answer | None:
    """The part of a clip that is identified, with ``query_start_s`` and ``query_duration_s``.

    ``fingerprints [m, dim]`` and ``spectrum`` are the whole clip's, as for :func:`identify`. The
    threshold is higher than for a clip of the part's length alone, by the number of windows. None
    if no part is identified, or the clip is too short to have parts.

    Raises as :func:`identify` does.
    """
    length, every = (max(1, round(s / library.hop_s)) for s in (LOOK_S - library.window_s, EVERY_S))
    last = len(fingerprints) - length
    if last < every:
        return None
    begins = sorted({*range(0, last + 1, every), last})

    def look(spans: list[_Span]) -> list[Answer | None]:
        return identify_many(
            library,
            [fingerprints[begin:end] for begin, end in spans],
            top_k=top_k,
            k=k,
            confidence=confidence,
            looks=looks * len(begins),
            spectra=[_window(spectrum, span, library) for span in spans],
        )

    spans = [(begin, begin + length) for begin in begins]
    answers = zip(spans, look(spans), strict=True)
    named = {span: answer for span, answer in answers if answer and answer.identified}
    if not named:
        return None
    span = max(named, key=lambda s: named[s].matches[0].confidence)
    joined = _join(span, named, spans, library.hop_s)
    if joined != span:
        (whole,) = look([joined])
        best = named[span].matches[0]
        if whole and whole.identified and whole.matches[0].track == best.track:
            return _placed(whole, joined, library)
    return _placed(named[span], span, library)


def _join(span: _Span, named: dict[_Span, Answer], spans: list[_Span], hop_s: float) -> _Span:
    """The span with those next to it that are named after the same place in the same track."""
    best = named[span].matches[0]

    def agrees(other: _Span) -> bool:
        expected_s = best.start_s + (other[0] - span[0]) * hop_s
        return other in named and any(
            match.track.id == best.track.id and abs(match.start_s - expected_s) <= AGREEMENT_S
            for match in (named[other].matches[0], *named[other].alternatives)
        )

    first = last = spans.index(span)
    while first > 0 and agrees(spans[first - 1]):
        first -= 1
    while last + 1 < len(spans) and agrees(spans[last + 1]):
        last += 1
    return spans[first][0], spans[last][1]


def _window(spectrum: np.ndarray | None, span: _Span, library: Collection) -> np.ndarray | None:
    """The frames of the clip's spectrogram that a span covers."""
    if spectrum is None:
        return None
    begin, end = span
    return spectrum[
        begin * ROW_FRAMES : (end - 1) * ROW_FRAMES + 1 + int(library.window_s / FRAME_S)
    ]


def _placed(answer: Answer, span: _Span, library: Collection) -> Answer:
    begin, end = span
    duration_s = (end - 1 - begin) * library.hop_s + library.window_s
    return replace(
        answer, query_start_s=begin * library.hop_s, query_duration_s=duration_s, part=True
    )
