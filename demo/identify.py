"""What the Identify page shows for a clip: the answer, its evidence, and the music to listen to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from demo import plots
from grafprint import audio, matching
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, Track
from grafprint.matching import Answer, Match

REFERENCE_S = 20.0  # how much of the reference is played
WAITING = (
    '<div class="gp-card"><div class="gp-label">Ready</div>'
    '<div class="gp-title">What is playing?</div>'
    "<div>Record a few seconds, choose a file, or try an example below.</div></div>"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """The parts of the page after a clip: HTML, and reference audio as (rate in Hz, int16 [n])."""

    card: str
    evidence: str = ""
    candidates: str = ""
    reference: tuple[int, np.ndarray] | None = None


@dataclass(frozen=True)
class Identifier:
    """A library and its network, opened once and used by every visitor; keeps nothing of them."""

    library: Library
    fingerprinter: Fingerprinter

    @classmethod
    def open(cls, library: Path, model: Path) -> Identifier:
        """Load both. Raises LibraryError or CheckpointError, with the reason."""
        fingerprinter = Fingerprinter.load(model)
        return cls(Library.open(library, model_id=fingerprinter.model_id), fingerprinter)

    def answer(self, clip: str, top: int = 5) -> Answer:
        """Identify a file. Raises ValueError or RuntimeError with a message for the visitor."""
        return matching.identify_file(self.library, self.fingerprinter, clip, top_k=top)

    def page(self, clip: str | None) -> Page:
        """Everything to show for a clip; a problem becomes a card that says what it is."""
        if clip is None:
            return Page(WAITING)
        try:
            answer = self.answer(clip)
        except (ValueError, RuntimeError, OSError) as error:
            return Page(_problem(str(error).replace(clip, Path(clip).name)))
        best = answer.best
        if best is None:
            return Page(_unknown(None))
        card = _found(best, answer) if answer.identified else _unknown(best)
        return Page(card, self._evidence(best, answer), _candidates(answer), self._reference(best))

    def _evidence(self, best: Match, answer: Answer) -> str:
        svg = plots.similarity(
            best.segment_scores, best.start_s, self.library.hop_s, answer.threshold
        )
        return f'<div class="gp-plot">{svg}</div>'

    def _reference(self, match: Match) -> tuple[int, np.ndarray] | None:
        path = self.library.audio_path(match.track)
        if path is None:
            return None
        start_s = min(max(0.0, match.start_s), max(0.0, match.track.duration_s - 1))
        try:
            samples = audio.load(path, start_s=start_s, duration_s=REFERENCE_S)
        except audio.AudioError as error:
            _log.warning("the reference cannot be played: %s", error)
            return None
        return audio.SAMPLE_RATE, np.round(samples.clip(-1, 1) * 32767).astype(np.int16)

    def contents(self) -> str:
        """The library's tracks as a table."""
        rows = "".join(
            f"<tr><td>{escape(t.title)}</td><td>{escape(t.artist)}</td><td>{escape(t.album)}</td>"
            f'<td class="n">{clock(t.duration_s)}</td><td>{escape(t.licence)}</td></tr>'
            for t in sorted(self.library.tracks(), key=lambda t: t.title.casefold())
        )
        head = "<th>Title</th><th>Artist</th><th>From</th><th class='n'>Length</th><th>Licence</th>"
        return f'<div class="gp-scroll">{_table(head, rows)}</div>'


def clock(seconds: float) -> str:
    """Seconds as m:ss; a query may begin a little before a track does."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def how_sure(confidence: float) -> str:
    """A confidence in words."""
    words = ((0.97, "very sure"), (0.85, "sure"), (0.6, "fairly sure"))
    return next((word for least, word in words if confidence >= least), "not quite sure")


def _by(track: Track) -> str:
    return escape(" · ".join(text for text in (track.artist, track.album) if text))


def _found(best: Match, answer: Answer) -> str:
    track = best.track
    licence = f"Licence {escape(track.licence)}. " if track.licence else ""
    return (
        '<div class="gp-card found" role="status"><div class="gp-label">Found</div>'
        f'<div class="gp-title">{escape(track.title)}</div><div>{_by(track)}</div>'
        f'<div class="gp-time">Your clip begins at <b>{clock(best.start_s)}</b> '
        f"of {clock(track.duration_s)}</div>"
        f'<div class="gp-small">{how_sure(best.confidence).capitalize()}: score {best.score:.2f}, '
        f"{answer.lead:.2f} ahead of the next track. {licence}</div></div>"
    )


def _unknown(best: Match | None) -> str:
    nearest = ""
    if best is not None:
        nearest = (
            f"The nearest track is {escape(best.track.title)}, with a score of only "
            f"{best.score:.2f}."
        )
    return (
        '<div class="gp-card unknown" role="status"><div class="gp-label">No match</div>'
        '<div class="gp-title">Not in this library</div>'
        f"<div>{nearest} If it should be here, record a little longer or go closer.</div></div>"
    )


def _problem(message: str) -> str:
    return (
        '<div class="gp-card problem" role="alert"><div class="gp-label">That did not work</div>'
        f"<div>{escape(message)}</div></div>"
    )


def _candidates(answer: Answer) -> str:
    title = "Candidates" if answer.identified else "Nearest candidates (none is a match)"
    rows = "".join(
        f"<tr><td>{escape(m.track.title)}</td><td>{escape(m.track.artist)}</td>"
        f'<td class="n">{clock(m.start_s)}</td><td class="n">{m.score:.2f}</td></tr>'
        for m in answer.matches
    )
    head = "<th>Title</th><th>Artist</th><th class='n'>At</th><th class='n'>Score</th>"
    return f'<div class="gp-small">{title}</div><div class="gp-scroll">{_table(head, rows)}</div>'


def _table(head: str, rows: str) -> str:
    return f'<table class="gp"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
