"""What is odd about a match: another speed, a part that is something else, further tracks."""

from __future__ import annotations

import logging
from html import escape

import numpy as np

from demo.clips import Clip
from demo.identifier import Identifier
from demo.texts import clock
from grafprint.library import LibraryError
from grafprint.matching import Answer, Match
from grafprint.remote.opening import AnyLibrary
from grafprint.scan import Play, Timeline, speed_of

SCAN_FROM_S = 60.0  # files longer than this are worth a scan
LEAST_SPEED = (
    0.01  # smaller deviations are not worth a remark, and within the error of the estimate
)
LEAST_REST_S = 3.0  # so much of a clip must be something else to be mentioned

_log = logging.getLogger(__name__)


def part_of_s(clip: Clip, answer: Answer) -> float:
    """The length of a clip if the answer used only a part of it, or else 0."""
    return clip.duration_s if answer.query_duration_s < clip.duration_s - 0.5 else 0.0


def remarks(identifier: Identifier, clip: Clip, answer: Answer) -> str:
    """Sentences on an identified clip as HTML; empty if nothing is odd."""
    lines = [about_length(clip)]
    best = answer.best
    if best is not None and answer.identified:
        try:
            lines += _of_match(identifier, clip, answer, best)
        except LibraryError as error:
            _log.warning("nothing more can be said about a match: %s", error)
    return "".join(f'<div class="gp-odd">{line}</div>' for line in lines if line)


def about_length(clip: Clip) -> str:
    """A sentence if only a part of the chosen file was used."""
    if clip.whole_s <= clip.duration_s + 0.5:
        return ""
    end_s = clip.offset_s + clip.duration_s
    scan = " Scan it to find all that plays in it." if clip.whole_s > SCAN_FROM_S else ""
    return (
        f"Only the loudest {clip.duration_s:.0f} s of your {clock(clip.whole_s)} min were used, "
        f"from {clock(clip.offset_s)} to {clock(end_s)}.{scan}"
    )


def about_speed(speed: float | None) -> str:
    """A sentence on the speed of a match; empty if it is the track's own or not known."""
    if speed is None or abs(speed - 1) < LEAST_SPEED:
        return ""
    how = "fast" if speed > 1 else "slow"
    return (
        f"Played about {100 * abs(speed - 1):.0f} % {how}, so the similarity falls away from "
        "the middle of the clip."
    )


def about_plays(clip: Clip, best: Match, plays: list[Play], part: bool) -> list[str]:
    """Sentences on what plays where in a clip, if that is not one track from end to end."""
    others = [play for play in plays if not _same(play, best)]
    if others:
        names = "; ".join(
            f"{escape(p.track.title)} ({clock(p.start_s)} to {clock(p.end_s)})" for p in others
        )
        return [f"More than one track is in this clip. Also: {names}."]
    own = [play for play in plays if _same(play, best)]
    if not own or part:
        return []
    begin_s, end_s = min(p.start_s for p in own), max(p.end_s for p in own)
    rest_s = begin_s + max(0.0, clip.duration_s - end_s)
    before = max(0.0, -best.start_s)  # that the track has not begun is said elsewhere
    if rest_s - before < LEAST_REST_S:
        return []
    return [
        f"Only the part from {clock(begin_s)} to {clock(end_s)} matches; the rest of the clip is "
        "something else."
    ]


def _of_match(identifier: Identifier, clip: Clip, answer: Answer, best: Match) -> list[str]:
    library = identifier.library
    fingerprints = identifier.fingerprinter(clip.samples)
    begin_s = answer.query_start_s - clip.offset_s
    speed = speed_of(library, fingerprints, best, round(begin_s / library.hop_s))
    part = bool(part_of_s(clip, answer))
    return [
        *about_plays(clip, best, _plays(library, fingerprints), part),
        about_speed(speed),
    ]


def _plays(library: AnyLibrary, fingerprints: np.ndarray) -> list[Play]:
    timeline = Timeline(library)
    return sorted([*timeline.push(fingerprints), *timeline.finish()], key=lambda p: p.start_s)


def _same(play: Play, best: Match) -> bool:
    return best.track.id in (play.track.id, *(track.id for track in play.alternatives))
