"""Tag the tracks of a library: what do they sound like?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from grafprint.audio.folders import Failure
from grafprint.errors import AudioError, NoTrackError
from grafprint.library import labels
from grafprint.library.add_file import file_stamp, shown
from grafprint.library.records import Track

if TYPE_CHECKING:
    from pathlib import Path

    from grafprint.library.labels import Labels
    from grafprint.library.target import Records
    from grafprint.tagging import ClipTagger


class Tagged(Protocol):
    """A library whose tracks can be tagged, wherever it is."""

    @property
    def catalogue(self) -> Records: ...
    def require_writable(self) -> None: ...
    def tracks(self) -> list[Track]: ...
    def tagger_of(self, track: Track) -> str | None: ...
    def audio_path(self, track: Track) -> Path | None: ...
    def located(self, path: str) -> Path: ...
    def put_labels(self, track: Track, labels: Labels) -> None: ...


HOP_S = 10.0  # windows of tracks hardly overlap: half the work of a clip's
LEAST = 0.02  # lowest probability that is kept


@dataclass(frozen=True)
class TagReport:
    """Which tracks were ``tagged``, how many had these tags already, and which failed, and why."""

    tagged: list[Track] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "tagged": [track.id for track in self.tagged],
            "unchanged": self.unchanged,
            "failed": [failure._asdict() for failure in self.failed],
        }


def tag_tracks(
    library: Tagged,
    tagger: ClipTagger,
    progress: Callable[[str, int, int, float], None] | None = None,
) -> TagReport:
    """Tag every track that has no tags of this tagger; each is stored before the next.

    So it may be stopped at any time, and run again to continue. ``progress(path, done, total,
    seconds)`` is called with the file being tagged, how many are done, and how much of it is.
    Files that are missing, cannot be read, or changed since they were indexed are reported.

    Raises LibraryError if the library is open for reading only, or the disk is full.
    """
    library.require_writable()
    tracks = library.tracks()
    missing = [track for track in tracks if library.tagger_of(track) != tagger.tagger_id]
    report = TagReport(unchanged=len(tracks) - len(missing))
    hop_s = min(HOP_S, tagger.window_s)
    for done, track in enumerate(missing):
        path = library.audio_path(track) or library.located(track.path)

        def tell(seconds: float, path: Path = path, done: int = done) -> None:
            if progress:
                progress(shown(path), done, len(missing), seconds)

        tell(0.0)
        try:
            _check_unchanged(library, track, path)
            tags = tagger.tag_file(path, hop_s, progress=tell)
        except AudioError as error:
            report.failed.append(Failure(shown(path), str(error)))
            continue
        found = {tag.label: tag.probability for tag in tags.tags(least=LEAST)}
        # Another program may have removed or replaced it meanwhile; then it is tagged next time.
        with suppress(NoTrackError):
            library.put_labels(track, labels.of_probabilities(tagger.tagger_id, found))
            report.tagged.append(track)
    if progress:
        progress("", len(missing), len(missing), 0.0)
    return report


def _check_unchanged(library: Tagged, track: Track, path: Path) -> None:
    """Raise AudioError if a track's file is not there, or not as it was when it was indexed."""
    stamp = file_stamp(path)
    stored = (library.catalogue.file(p) for p in library.catalogue.paths_of(track.id))
    files = [file for file in stored if file is not None]
    if any(library.located(f.path) == path and (f.size, f.mtime_ns) != stamp for f in files):
        raise AudioError(f"{shown(path)} has changed since it was indexed: index it again")
