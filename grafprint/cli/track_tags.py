"""What the tracks of a library sound like: ``library tag``, and the tags in its listing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from grafprint.cli.console import (
    FAILED,
    DeviceOption,
    JsonOption,
    TaggerOption,
    clock,
    escape,
    out,
    print_json,
    printable,
)
from grafprint.cli.passed_over import show_failures
from grafprint.cli.place import OwnLibraryOption
from grafprint.cli.progress import progress
from grafprint.cli.tag import load_tagger
from grafprint.cli.tag_output import percent
from grafprint.errors import LibraryError

if TYPE_CHECKING:
    from grafprint.library import Track
    from grafprint.library.tagging import TagReport
    from grafprint.remote.opening import AnyLibrary
    from grafprint.tagging import ClipTagger

SHOWN = 3  # labels of a track in the table


def tag(
    library: OwnLibraryOption,
    tagger: TaggerOption = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Tag the tracks of a library: what do they sound like?

    Tracks that have tags of this tagger are left as they are. Interrupt it at any time, and run it
    again to continue. `library list --tag` finds tracks by their tags. The exit status is 0 if all
    tracks have tags afterwards, 2 if some could not be tagged.
    """
    from grafprint.remote.opening import open_library

    with open_library(library, writable=True) as opened:
        report = tag_with_progress(opened, load_tagger(tagger, device))
    if as_json:
        print_json(report.to_json())
    else:
        show_report(report)
    if report.failed:
        raise typer.Exit(FAILED)


def tag_with_progress(library: AnyLibrary, tagger: ClipTagger) -> TagReport:
    """Tag what is not tagged yet; shows how far it is."""
    from grafprint.library import tag_tracks

    with progress() as bar:
        task = bar.add_task("tagging", total=None)

        def on_progress(path: str, done: int, total: int, seconds: float) -> None:
            name = path.replace("\\", "/").rpartition("/")[2]
            text = f"tagging {printable(name[:40])} at {clock(seconds)}" if path else "tagged"
            bar.update(task, description=text, completed=done, total=total)

        return tag_tracks(library, tagger, on_progress)


def show_report(report: TagReport) -> None:
    """Print how many tracks were tagged, and which were not."""
    out.print(
        f"{len(report.tagged)} tracks tagged, {report.unchanged} had tags already, "
        f"{len(report.failed)} left out",
        highlight=False,
    )
    show_failures("left out", report.failed, out)


def sounding_like(
    library: AnyLibrary, tracks: Sequence[Track], tags: Sequence[str], least: float
) -> list[Track]:
    """The tracks that have each of the tags with a probability of ``least`` or more.

    Those that are likeliest to have them all come first. Upper and lower case are the same. Raises
    LibraryError if no track has been tagged, or no track has such a label.
    """
    if not library.has_labels:
        raise LibraryError(
            f"the tracks of {library.location} have no tags: run  grafprint library tag"
        )
    names = {label for track in library.tracks() for label in library.labels_of(track)}
    known = {name.casefold(): name for name in names}
    for tag in tags:
        if tag.casefold() not in known:
            listed = ", ".join(sorted(names))
            raise LibraryError(f"no track has the tag {tag!r}; there are: {listed}")
    wanted = [known[tag.casefold()] for tag in tags]

    def together(track: Track) -> float:
        labels = library.labels_of(track)
        return min(labels.get(label, 0.0) for label in wanted)

    fitting = [track for track in tracks if together(track) >= least]
    return sorted(fitting, key=together, reverse=True)


def tags_text(library: AnyLibrary, track: Track, most: int | None = SHOWN) -> str:
    """The likeliest labels of a track with their probabilities, as markup."""
    labels = list(library.labels_of(track).items())[:most]
    return ", ".join(f"{escape(label)} {percent(p)}" for label, p in labels)


def tags_json(library: AnyLibrary, track: Track) -> list[dict[str, str | float]]:
    """The labels of a track as plain values."""
    return [{"label": label, "probability": p} for label, p in library.labels_of(track).items()]
