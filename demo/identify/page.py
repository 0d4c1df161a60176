"""What the tab Identify shows for a clip: the answer, its evidence, and the track to play."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from demo import cards
from demo.cards import Extras
from demo.clips import Clip, ClipError, from_track, playable
from demo.identifier import Identifier
from demo.identify import compare, finds, oddities
from grafprint import audio
from grafprint.matching import Match

REFERENCE_S = 20.0  # how much of the track can be played

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """The parts of the page for a clip: HTML, and the track's audio as (rate in Hz, int16 [n]).

    ``sounds`` is the value of the switch between clip and track (see compare.py), ``find`` the
    entry of the history if the clip was identified, ``scan`` whether its file is worth a scan.
    """

    card: str
    evidence: str = ""
    candidates: str = ""
    reference: tuple[int, np.ndarray] | None = None
    reference_label: str = ""
    sounds: str = ""
    find: dict[str, Any] | None = None
    scan: bool = False


def page_for(
    identifier: Identifier, clip: Clip, confidence: float | None = None, library: str = ""
) -> Page:
    """Identify a clip and return what to show; a problem becomes a card with the reason.

    ``library`` is the name of the identifier's library, for links.
    """
    scan = clip.whole_s > oddities.SCAN_FROM_S
    try:
        answer = identifier.answer(clip, confidence=confidence)
    except ClipError as error:
        return Page(cards.problem(str(error)), scan=scan)
    best = answer.best
    remarks = oddities.remarks(identifier, clip, answer)
    if best is None:
        return Page(cards.unknown(None, Extras(remarks=remarks)), scan=scan)
    find = None
    if answer.identified:
        find = finds.entry(library, best, clip)
        cover = finds.picture(identifier.library, best.track)
        extras = Extras(cover, remarks, finds.footer(find))
        part_of_s = oddities.part_of_s(clip, answer)
        card = cards.found(answer, best, part_of_s=part_of_s, extras=extras)
        label = "The track, from that moment on"
    else:
        card = cards.unknown(best, Extras(remarks=remarks))
        label = "The nearest track, for comparison"
    page = Page(card, "", cards.candidates(answer), None, label, find=find, scan=scan)
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
