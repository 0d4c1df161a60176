"""What the Identify tab shows for a clip: the answer, its evidence, and the music to listen to."""

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

REFERENCE_S = 20.0  # how much of the reference is played

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """The parts of the page after a clip: HTML, and reference audio as (rate in Hz, int16 [n]).

    ``sounds`` is the value of the switch between clip and track (see compare.py).
    """

    card: str
    evidence: str = ""
    candidates: str = ""
    reference: tuple[int, np.ndarray] | None = None
    reference_label: str = ""
    sounds: str = ""


def page_for(identifier: Identifier, clip: Clip, confidence: float | None = None) -> Page:
    """Everything to show for a clip; a problem becomes a card that says what it is."""
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
        card, label = cards.unknown(best), "The nearest track, to compare"
    page = Page(card, candidates=cards.candidates(answer), reference_label=label)
    heard = compare.used(clip, answer)
    reference = _reference(identifier, best, len(heard))
    if reference is None:
        return page
    drawn = compare.picture(heard, reference, answer, best, identifier.fingerprinter)
    return replace(
        page,
        evidence=cards.evidence(drawn),
        reference=playable(reference[max(0, -_samples(best.start_s)) :]),
        sounds=compare.sounds(heard, reference),
    )


def _reference(identifier: Identifier, match: Match, length: int) -> np.ndarray | None:
    """The track from the matched moment on, ``length`` samples or more where it has them.

    Silence stands for what a clip has before the track begins. None if its file is not where
    the library says.
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
