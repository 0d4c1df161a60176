"""Copy a library from a folder to servers or back: ``grafprint library copy``."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grafprint.audio.landmarks import EMPTY
from grafprint.audio.metadata import Tags
from grafprint.errors import LibraryError, NoTrackError
from grafprint.library import labels
from grafprint.library.add_file import stored_path
from grafprint.library.records import File, Recording, Track
from grafprint.remote.opening import create_library, is_there, open_library

if TYPE_CHECKING:
    from grafprint.remote.address import Place
    from grafprint.remote.opening import AnyLibrary

_BLOCK = 1 << 14  # rows at once
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Made:
    """The network of a library, for another library."""

    model_id: str
    dim: int
    hop_s: float
    window_s: float
    imitates: str | None = None


@dataclass(frozen=True)
class CopyReport:
    """Which tracks were ``copied``, and how many the target had ``already``.

    ``kept`` are paths under which the target has another recording, which stays.
    """

    copied: list[Track] = field(default_factory=list)
    already: int = 0
    kept: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; tracks as they are in the target."""
        return {**vars(self), "copied": [asdict(track) for track in self.copied]}


def copy_library(source: Place, target: Place, progress: OnProgress | None = None) -> CopyReport:
    """Copy all tracks of a library into another one, which is made if there is none.

    Each is there as a whole or not at all, so this may be stopped at any time, and run again to
    continue. What the target has besides stays, also another recording under the same path: it may
    be the newer one. Tracks that are removed meanwhile are left out. Fingerprints are compared with
    their checksums when they are read and again in the target. ``progress(title, done, total)`` is
    called before each track and at the end.

    Raises LibraryError if one of both cannot be used, fingerprints are damaged, or another network
    made the target.
    """
    with open_library(source) as old:
        made = _Made(old.model_id, old.dim, old.hop_s, old.window_s)
        new = (
            open_library(target, model_id=old.model_id, writable=True)
            if is_there(target)
            else create_library(target, made)
        )
        report = CopyReport()
        with new:
            if new.library_id == old.library_id:
                raise LibraryError(f"{old.location} and {new.location} are the same library")
            tracks = old.tracks()
            already = 0
            for done, track in enumerate(tracks):
                if progress:
                    progress(track.title, done, len(tracks))
                with suppress(NoTrackError):  # another program has removed it
                    already += _copy_track(old, new, track.id, report)
            _copy_facts(old, new)
            _check(new, report.copied)
        if progress:
            progress("", len(tracks), len(tracks))
    return replace(report, already=already)


def _copy_track(old: AnyLibrary, new: AnyLibrary, track_id: int, report: CopyReport) -> bool:
    """Copy what the target lacks of a track; returns whether it has its recording already."""
    with old.locked():  # as it is now: another program may change it
        track = old.track(track_id)
        files = _files(old, new, track)
        stored = new.catalogue.with_content(track.content_hash)
        there = stored is not None
        free = []
        for file in files:
            known = new.catalogue.file(file.path)
            if known is None:
                free.append(file)
            elif stored is None or known.track != stored.id:
                report.kept.append(file.path)
        if stored is None and not free:
            return False
        if stored is None:
            recording, landmarks = _read(old, new, track)
    if stored is None:
        try:
            new.sync_rows(landmarks)
        except BaseException:
            new.rollback_rows()
            raise
        with new.changing() as catalogue:
            stored = catalogue.put(recording, free.pop(0), None)
            new.commit_rows()
        report.copied.append(stored)
    _copy_rest(old, new, track, stored, free)
    return there


def _read(old: AnyLibrary, new: AnyLibrary, track: Track) -> tuple[Recording, np.ndarray | None]:
    """Append a track's fingerprints to the pending ones of the target; returns its landmarks."""
    rows, marks = new.vector_store, []
    try:
        for begin in range(track.first, track.first + track.count, _BLOCK):
            end = min(begin + _BLOCK, track.first + track.count)
            rows.append(old.vectors(np.arange(begin, end)))
            if old.keeps_landmarks:
                marks.append(np.array(old.landmarks(begin, end)))
        checksum = old.catalogue.checksum(track.id)
        if checksum not in (None, rows.pending_crc32):
            raise LibraryError(
                f"the fingerprints of {track.title!r} in {old.location} are damaged: restore the "
                "library from a copy, or remove the track and index its file again"
            )
        landmarks = np.concatenate(marks) if marks else None
        if landmarks is not None and (landmarks == EMPTY).all():
            landmarks = None  # it was added by a version that had none
    except BaseException:
        new.rollback_rows()
        raise
    recording = Recording(
        track.content_hash, track.duration_s, _tags(track), track.count, rows.pending_crc32
    )
    return recording, landmarks


def _copy_rest(
    old: AnyLibrary, new: AnyLibrary, track: Track, stored: Track, files: list[File]
) -> None:
    """Copy what else is known of a track: ``files`` of it, and what it sounds like."""
    for file in files:
        with new.changing() as catalogue:
            catalogue.put_file(replace(file, track=stored.id))
    tagger = old.tagger_of(track)
    if tagger is not None and new.tagger_of(stored) is None:
        new.put_labels(stored, labels.of_probabilities(tagger, old.labels_of(track)))


def _copy_facts(old: AnyLibrary, new: AnyLibrary) -> None:
    """Copy which files stay out, and where the network is."""
    kept_out = {_path(old, new, path): hash for path, hash in old.catalogue.kept_out.items()}
    new_ones = {p: h for p, h in kept_out.items() if not new.catalogue.is_kept_out(p)}
    network = old.catalogue.network
    with new.changing() as catalogue:
        if new_ones:
            catalogue.keep_out(new_ones)
        if network is not None and catalogue.network is None:
            catalogue.put_network(_path(old, new, network))


def _check(library: AnyLibrary, tracks: list[Track]) -> None:
    """Read the fingerprints of tracks again, and compare them with their checksums."""
    for track in tracks:
        with suppress(NoTrackError), library.locked():
            if library.track(track.id).first != track.first:
                continue  # another program has replaced it
            actual = 0
            for begin in range(track.first, track.first + track.count, _BLOCK):
                end = min(begin + _BLOCK, track.first + track.count)
                halves = library.vectors(np.arange(begin, end)).astype("<f2")
                actual = zlib.crc32(halves.tobytes(), actual)
            if actual != library.catalogue.checksum(track.id):
                raise LibraryError(
                    f"the fingerprints of {track.title!r} did not arrive in {library.location} as "
                    f"they were sent: check its disk, remove track {track.id}, and copy again"
                )


def _files(old: AnyLibrary, new: AnyLibrary, track: Track) -> list[File]:
    """A track's files, as the new library stores their paths."""
    files = (old.catalogue.file(path) for path in old.catalogue.paths_of(track.id))
    return [
        File(_path(old, new, file.path), 0, file.size, file.mtime_ns)
        for file in files
        if file is not None
    ]


def _path(old: AnyLibrary, new: AnyLibrary, path: str) -> str:
    return stored_path(new.base, Path(old.located(path)))


def _tags(track: Track) -> Tags:
    return Tags(
        track.title, track.artist, track.album, track.licence, track.source,
        year=track.year, isrc=track.isrc, musicbrainz_recording=track.musicbrainz_recording,
        musicbrainz_release=track.musicbrainz_release,
        musicbrainz_artist=track.musicbrainz_artist, title_from_name=track.title_from_name,
    )  # fmt: skip
