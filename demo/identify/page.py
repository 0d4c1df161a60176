"""What the tab Identify shows for a clip: the answer, its evidence, and the track to play."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from demo import cards
from demo.clips import Clip, ClipError, from_track, playable
from demo.identifier import Identifier
from demo.identify import compare
from grafprint import audio
from grafprint.matching import Match

REFERENCE_S = 20.0  # how much of the track can be played

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """The parts of the page for a clip: HTML, and the track's audio as (rate in Hz, int16 [n]).

    ``sounds`` is the value of the switch between clip and track (see compare.py).
    """

    card: str
    evidence: str = ""
    candidates: str = ""
    reference: tuple[int, np.ndarray] | None = None
    reference_label: str = ""
    sounds: str = ""


def page_for(identifier: Identifier, clip: Clip, confidence: float | None = None) -> Page:
    """Identify a clip and return what to show; a problem becomes a card with the reason."""
    try:
        answer = identifier.answer(clip, confidence=confidence)
    except ClipError as error:
        return Page(cards.problem(str(error)))
    best = answer.best
    if best is None:
        return Page(cards.unknown(None))
    if answer.identified:
        card, label = cards.found(answer, best), "The track, from that moment on"
    else:
        card, label = cards.unknown(best), "The nearest track, for comparison"
    page = Page(card, candidates=cards.candidates(answer), reference_label=label)
    samples = compare.used(clip, answer)
    reference = _reference(identifier, best, len(samples))
    if reference is None:
        return page
    plot = compare.picture(samples, reference, answer, best, identifier.fingerprinter)
    return replace(
        page,
        evidence=cards.evidence(plot),
        reference=playable(reference[max(0, -_samples(best.start_s)) :]),
        sounds=compare.sounds(samples, reference),
    )


def _reference(identifier: Identifier, match: Match, length: int) -> np.ndarray | None:
    """The track from the matched moment on, at least ``length`` samples unless it ends before.

    If the clip begins before the track, silence is put before it. None if the track's file is
    missing.
    """
    duration_s = max(REFERENCE_S, length / audio.SAMPLE_RATE)
    start_s = min(max(0.0, match.start_s), max(0.0, match.track.duration_s - 1))
    try:
        music = from_track(identifier.library, match.track, start_s, duration_s).samples
    except ClipError as error:
        _log.warning("the reference cannot be played: %s", error)
        return None
    return np.concatenate([np.zeros(max(0, -_samples(match.start_s)), np.float32), music])


def _samples(seconds: float) -> int:
    return round(seconds * audio.SAMPLE_RATE)
