"""Texts of the page as HTML: answers, candidates and lists of tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from demo.texts import clock, confident, count, licence, named, source_link, table
from grafprint.evaluation.breaking_point import GroundTruth, judge
from grafprint.library import Track
from grafprint.matching import LONGEST_S, Answer, Match


@dataclass(frozen=True)
class Extras:
    """Further HTML of an answer's card: the cover, what is odd about the match, and links."""

    picture: str = ""
    remarks: str = ""
    links: str = ""


NONE = Extras()


def ready() -> str:
    """The card shown before there is a clip."""
    return _card(
        "ready",
        "Ready",
        _title("What is playing?")
        + "<div>Press Listen, record or choose a clip, or try an example.</div>",
    )


def listening(heard_s: float, answer: Answer | None) -> str:
    """The state of live listening: no answer yet, the nearest track, or the match."""
    best = answer.best if answer else None
    so_far = f"Listening, {heard_s:.0f} s. "
    if answer is None or best is None:
        return _note(so_far + "No candidate yet.")
    now_s = best.start_s + heard_s - answer.query_start_s
    what = "This is" if answer.identified else "No match yet; the nearest is"
    title = escape(best.track.title)
    return _note(f"{so_far}{what} {title}, now at {clock(now_s)} (score {best.score:.2f}).")


def found(answer: Answer, best: Match, *, part_of_s: float = 0.0, extras: Extras = NONE) -> str:
    """The card of an identified clip: the track, the position in it, and the confidence.

    ``part_of_s``: the length of a clip of which the answer used only a part (0: it used all).
    """
    return _card(
        "found",
        "Found",
        f"{extras.picture}{_title(best.track.title)}<div>{_by(best.track)}</div>"
        f'<div class="gp-time">{where(answer, best, part_of_s)}</div>'
        f"{extras.remarks}{_also(answer)}"
        f'<div class="gp-small">{confident(best.confidence)}: score {best.score:.2f} '
        f"of 1{_ahead(answer)}.</div>{rights(best.track)}{extras.links}",
    )


def shared(track: Track, at_s: float, picture: str) -> str:
    """The card of a find that a link leads to; ``picture`` is its cover as HTML."""
    place = f'<div class="gp-time">At <b>{clock(at_s)}</b> of {clock(track.duration_s)}</div>'
    by = f"<div>{_by(track)}</div>"
    return _card(
        "found", "A find from a link", picture + _title(track.title) + by + place + rights(track)
    )


def rights(track: Track) -> str:
    """A line with a track's licence and source, as far as they are known."""
    stated = f"Licence: {escape(licence(track.licence))}" if track.licence else ""
    source = f"Source: {source_link(track)}" if track.source else ""
    return _note(" · ".join(filter(None, (stated, source))))


def unknown(best: Match | None, extras: Extras = NONE) -> str:
    """The card of a clip that is not in the library; ``best`` is the nearest track."""
    nearest = ""
    if best is not None:
        title = escape(best.track.title)
        nearest = f"The nearest track is {title}, but its score is only {best.score:.2f}. "
    return _card(
        "unknown",
        "No match",
        f"{_title('Not in this library')}<div>{nearest}"
        f"If it should be, record a little longer or move closer.</div>{extras.remarks}",
    )


def verdict(answer: Answer, truth: GroundTruth | None, hop_s: float) -> str:
    """The card of a degraded clip: what it is identified as, and whether that is right."""
    best = answer.best
    if best is None:
        return unknown(None)
    score = (
        f'<div class="gp-small">Score {best.score:.2f} of 1; a match needs '
        f"{answer.threshold:.2f}.</div>"
    )
    judgement = judge(answer, truth, hop_s) if truth else None
    explanation = f'<div class="gp-small">{_explain_verdict(answer, best, truth, hop_s)}</div>'
    if not answer.identified:
        nearest = f"<div>The nearest track is {escape(best.track.title)}.</div>"
        return _card("unknown", "No match", _title("Not found") + nearest + score + explanation)
    kind, label = {
        "place": ("found", "Found"),
        "track": ("unknown", "Right track, wrong position"),
        "wrong": ("problem", "Wrong"),
        None: ("found", "Found"),
    }[judgement]
    track = f"{_title(best.track.title)}<div>{_by(best.track)}</div>"
    time = f'<div class="gp-time">{where(answer, best)}</div>'
    return _card(kind, label, track + time + score + explanation)


def problem(message: str) -> str:
    """The card of a clip that cannot be used, with the reason."""
    sentence = message[:1].upper() + message[1:]
    if not sentence.endswith((".", "!", "?")):
        sentence += "."
    return _card("problem", "That did not work", f"<div>{escape(sentence)}</div>", "alert")


def candidates(answer: Answer) -> str:
    """The matches as a table, with a title that says whether any is a match."""
    title = "Candidates" if answer.identified else "Nearest candidates (none is a match)"
    same = '<span class="by">same music</span>'
    columns: dict[str, Callable[[Match], str]] = {
        "At": lambda match: clock(match.start_s),
        "Score": lambda match: f"{match.score:.2f}",
    }
    if any(match.landmarks is not None for match in answer.matches):  # they decide the order, too
        columns["Landmarks"] = lambda match: f"{match.landmarks or 0:.2f}"
    rows = "".join(
        f"<tr><td>{named(m.track)}{same if m.alternative else ''}</td>"
        + "".join(f'<td class="n">{show(m)}</td>' for show in columns.values())
        + "</tr>"
        for m in answer.matches
    )
    head = "<th>Track</th>" + "".join(f"<th class='n'>{column}</th>" for column in columns)
    return f'<div class="gp-small">{title}</div>{table(head, rows)}'


def evidence(svg: str) -> str:
    """The plot of clip and track on a common time axis, with its caption."""
    return (
        '<div class="gp-small">Your clip, the track from the same moment, and their similarity '
        f'(dashed: the average that a match needs)</div><div class="gp-plot">{svg}</div>'
    )


def library_in_use(name: str, tracks: Sequence[Track]) -> str:
    """The line with the name and size of the library in use."""
    minutes = round(sum(track.duration_s for track in tracks) / 60)
    size = f"{count(len(tracks), 'track')}, {count(minutes, 'minute')}"
    return (
        f'<div class="gp-small" data-library="{escape(name)}">'
        f'<a href="?tab=library" data-tab="library">Library “{escape(name)}”</a>: {size}.</div>'
    )


def where(answer: Answer, match: Match, part_of_s: float = 0.0) -> str:
    """A sentence that says where in the track the clip, or the part of it used, begins."""
    clip, begins = "Your clip", "begins"
    if part_of_s:
        end_s = answer.query_start_s + answer.query_duration_s
        clip = f"Your clip from {clock(answer.query_start_s)} to {clock(end_s)}"
    elif answer.query_start_s > 0 or answer.query_duration_s >= LONGEST_S:
        begins = "begin"
        clip = (
            f"The loudest {answer.query_duration_s:.0f} s of your clip, from "
            f"{clock(answer.query_start_s)} on,"
        )
    if round(match.start_s) < 0:
        return f"{clip} {begins} <b>{clock(-match.start_s)}</b> before the track"
    return f"{clip} {begins} at <b>{clock(match.start_s)}</b> of {clock(match.track.duration_s)}"


def _card(kind: str, label: str, body: str, role: str = "status") -> str:
    return (
        f'<div class="gp-card {kind}" role="{role}"><div class="gp-label">{label}</div>{body}</div>'
    )


def _note(html: str) -> str:
    return f'<div class="gp-small">{html}</div>'


def _explain_verdict(answer: Answer, best: Match, truth: GroundTruth | None, hop_s: float) -> str:
    """Whether the best match is right, and how that is known."""
    if truth is None:
        return "The right answer is unknown: the clean clip is not identified either."
    source = "where it was cut from" if truth.given else "what the clean clip is identified as"
    judgement = judge(answer, truth, hop_s)
    if not answer.identified:
        if judgement == "wrong":
            return f"The nearest track is wrong: it is not {source}."
        return "The nearest track is correct, but below the threshold."
    if judgement == "place":
        return f"That is right: it is {source}."
    if judgement == "track":
        return (
            f"The track is right, but {source} is at {truth.start_s:.1f} s, and this is at "
            f"{best.start_s - answer.query_start_s:.1f} s: music repeats itself."
        )
    return f"That is wrong: it is not {source}."


def _ahead(answer: Answer) -> str:
    """How far the best match is ahead; nothing where there is no other music to compare with."""
    if answer.lead is None or answer.best is None:
        return ""
    by = "" if answer.best.landmarks is None else "with landmarks "
    return f", {by}{answer.lead:.2f} ahead of other music"


def _also(answer: Answer) -> str:
    """The other tracks that contain the same music."""
    titles = ", ".join(escape(match.track.title) for match in answer.alternatives)
    return f'<div class="gp-small">Same music in: {titles}.</div>' if titles else ""


def _title(text: str) -> str:
    return f'<div class="gp-title">{escape(text)}</div>'


def _by(track: Track) -> str:
    return escape(" · ".join(text for text in (track.artist, track.album) if text))
