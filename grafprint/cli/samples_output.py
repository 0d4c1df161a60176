"""Print what songs sample: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from grafprint.cli.clip_files import Outcome, show_failed
from grafprint.cli.console import clock, escape, out
from grafprint.cli.tables import table, title_of

if TYPE_CHECKING:
    from grafprint.matching.samples import MatchedRegion, SampledTrack, SamplesFound

_COLUMNS = ("title", "artist", "song", "track", "speed", "probability", "similarity", "score")


def show_song(song: str, found: SamplesFound) -> None:
    """Print what one song samples: a sentence, and a table of the regions."""
    tracks = found.found
    if tracks:
        names = " and ".join(_name(track) for track in tracks[:3])
        more = f" and {len(tracks) - 3} more" if len(tracks) > 3 else ""
        _say(f"{escape(song)} samples {names}{more}")
    else:
        where = "that could be compared" if found.unchecked else "in this library"
        _say(f"{escape(song)} samples [bold]nothing {where}[/]")
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


def show_songs(outcomes: Sequence[Outcome[SamplesFound]]) -> None:
    """Print a table of the songs that sample something, and lists of the others."""
    answered = [(outcome.clip, outcome.answer) for outcome in outcomes if outcome.answer]
    rows = [
        (escape(song), *row)
        for song, found in answered
        for track in found.found
        for row in _rows(track)
    ]
    if rows:
        out.print(table(("file", *_COLUMNS), rows))
    without = [song for song, found in answered if not found.found]
    out.print(
        f"{len(answered) - len(without)} with samples, {len(without)} without, "
        f"{len(outcomes) - len(answered)} left out",
        highlight=False,
    )
    if any(not found.reranked for _, found in answered):
        _say("[dim]by similarity alone, without a re-ranker (--reranker)[/]")
    for song, found in answered:
        for same in found.same_recordings:
            _say(f"in the library itself: {escape(song)}: {_name(same)}")
    for song in without:
        _say(f"without samples: {escape(song)}")
    unchecked = {left.track.id: left for _, found in answered for left in found.unchecked}
    for left in unchecked.values():
        _say(f"could not be compared: {escape(left.track.title)}: {escape(left.reason)}")
    show_failed(outcomes)


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
