"""Print what songs sample: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grafprint.cli.console import clock, escape, out, print_json
from grafprint.cli.tables import table, title_of

if TYPE_CHECKING:
    from grafprint.matching.samples import MatchedRegion, SampledTrack, SamplesFound

_COLUMNS = ("title", "artist", "song", "track", "speed", "probability", "similarity", "score")


@dataclass(frozen=True, eq=False)
class Outcome:
    """A song, and what it samples or the reason why that is not known."""

    song: str
    found: SamplesFound | None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The song's path with what was found, or with the error."""
        if self.found is None:
            return {"path": self.song, "error": self.error}
        return {"path": self.song, **self.found.to_json()}


def show_song(song: str, found: SamplesFound) -> None:
    """Print what one song samples: a sentence, and a table of the regions."""
    tracks = found.found
    if tracks:
        names = " and ".join(_name(track) for track in tracks[:3])
        more = f" and {len(tracks) - 3} more" if len(tracks) > 3 else ""
        _say(f"{escape(song)} samples {names}{more}")
    else:
        _say(f"{escape(song)} samples [bold]nothing in this library[/]")
    for same in found.same_recordings:
        _say(f"it is itself in the library: {_name(same)}")
    if not found.reranked:
        _say("[dim]by similarity alone, without a re-ranker (--reranker): the score says how much "
             "speaks for a track, and is no probability[/]")  # fmt: skip
    if tracks:
        rows = [row for track in tracks for row in _rows(track)]
        out.print(table(_COLUMNS, rows))
    elif nearest := [t for t in found.tracks if not t.same_recording][:3]:
        rows = [row for track in nearest for row in list(_rows(track))[:1]]
        out.print(table(_COLUMNS, rows, "Nearest candidates (no sample)"))
    for left in found.unchecked:
        _say(f"could not be compared: {escape(left.track.title)}: {escape(left.reason)}")


def show_songs(outcomes: Sequence[Outcome]) -> None:
    """Print a table of the songs that sample something, and lists of the others."""
    rows = [
        (escape(outcome.song), *row)
        for outcome in outcomes
        if outcome.found
        for track in outcome.found.found
        for row in _rows(track)
    ]
    if rows:
        out.print(table(("file", *_COLUMNS), rows))
    answered = [o for o in outcomes if o.found]
    without = [o for o in answered if o.found and not o.found.found]
    failed = [o for o in outcomes if o.found is None]
    out.print(
        f"{len(answered) - len(without)} with samples, {len(without)} without, "
        f"{len(failed)} left out",
        highlight=False,
    )
    if any(o.found and not o.found.reranked for o in answered):
        _say("[dim]by similarity alone, without a re-ranker (--reranker)[/]")
    for outcome in answered:
        for same in outcome.found.same_recordings if outcome.found else ():
            _say(f"in the library itself: {escape(outcome.song)}: {_name(same)}")
    for outcome in without:
        _say(f"without samples: {escape(outcome.song)}")
    unchecked = {u.track.id: u for o in answered if o.found for u in o.found.unchecked}
    for left in unchecked.values():
        _say(f"could not be compared: {escape(left.track.title)}: {escape(left.reason)}")
    for outcome in failed:
        _say(f"left out: {escape(outcome.error)}")


def print_as_json(outcomes: Sequence[Outcome], alone: bool) -> None:
    """Print an object for a song ``alone``, otherwise a list with an object for each."""
    values = [outcome.to_json() for outcome in outcomes]
    print_json(values[0] if alone and values else values)


def _rows(track: SampledTrack) -> Iterator[tuple[str, ...]]:
    """A row for each region; the track's own cells in the first one only."""
    for number, region in enumerate(track.regions):
        own = (title_of(track.track), escape(track.track.artist)) if not number else ("", "")
        yield (*own, *_region(region), "" if number else f"{track.score:.2f}")


def _region(region: MatchedRegion) -> tuple[str, ...]:
    return (
        f"{clock(region.start_s)} to {clock(region.end_s)}",
        f"{clock(region.track_start_s)} to {clock(region.track_end_s)}",
        "" if region.speed is None else f"{region.speed:.2f}",
        "" if region.probability is None else f"{100 * region.probability:.0f} %",
        "" if region.probability is not None else f"{region.similarity:.3f}",
    )


def _name(track: SampledTrack) -> str:
    by = f" by {track.track.artist}" if track.track.artist else ""
    return f"[bold]{title_of(track.track)}[/]{escape(by)}"


def _say(line: str) -> None:
    out.print(line, highlight=False, soft_wrap=True)
