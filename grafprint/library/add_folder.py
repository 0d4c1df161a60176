"""Add many audio files to a library and report the result for each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from grafprint import audio
from grafprint.audio.folders import Failure, audio_files
from grafprint.errors import LibraryError
from grafprint.library.add_file import (
    FileFingerprints,
    KeptOut,
    Status,
    add_file,
    fingerprint_file,
    is_settled,
    real,
    shown,
)
from grafprint.library.part import Part
from grafprint.library.records import File
from grafprint.library.target import Target

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

OnProgress = Callable[[str, int, int, float], None]


class FingerprintAhead(Protocol):
    """Computes the fingerprints of files while those before them are stored."""

    def __call__(
        self, library: Target, files: list[Path], fingerprinter: Fingerprinter, /
    ) -> Generator[FileFingerprints | ValueError | None, None, None]:
        """The fingerprints of each file in order, or why it cannot be used, or None: not computed.

        Closing the generator stops what is being computed.
        """
        ...


MOST = 0.5  # above this share of vanished tracks, pruning must be forced
LONG_S = 600.0  # longer files are fingerprinted one at a time, by all threads together


class _Stop(Exception):
    """Raised to stop :func:`fingerprint_file`."""


@dataclass(frozen=True)
class IndexReport:
    """The result for each file of a folder; paths as found.

    ``missing`` are files that the library knows and that are no longer in the folder; ``removed``
    those of them that were removed from it. ``kept_out`` are files that are there, but were once
    removed to stay out. ``passed_over`` are files and folders that were not tried, and why.
    ``audio_s`` is how much audio was fingerprinted.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    kept_out: list[str] = field(default_factory=list)
    passed_over: list[Failure] = field(default_factory=list)
    audio_s: float = 0.0

    @property
    def usable(self) -> int:
        """How many files are as they should be: in the library, or kept out of it."""
        kinds = (self.added, self.updated, self.unchanged, self.duplicates, self.kept_out)
        return sum(map(len, kinds))

    def to_json(self) -> dict[str, Any]:
        """The report as plain values: lists of paths, and of failures with their reasons."""
        lists = {
            name: [f._asdict() for f in getattr(self, name)] for name in ("failed", "passed_over")
        }
        return {**vars(self), **lists}


class IndexStep(NamedTuple):
    """Progress of adding files: ``done`` of ``total``, and the report so far.

    ``path`` is the next file, empty at the end.
    """

    path: str
    done: int
    total: int
    report: IndexReport


def add_folder(
    library: Target,
    folder: Path,
    fingerprinter: Fingerprinter,
    progress: OnProgress | None,
    *,
    prune: bool,
    force: bool,
    part: Part | None = None,
    ahead: FingerprintAhead | None = None,
) -> IndexReport:
    """See ``Library.add_folder``."""
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    unreadable: list[Failure] = []
    passed_over: list[Failure] = []
    files = audio_files(folder, unreadable, passed_over)
    hidden = [Path(failure.path) for failure in unreadable]
    if part:  # what cannot be read or is not audio is reported once, too
        files = [file for file in files if part.has_file(file, folder)]
        unreadable = [f for f in unreadable if part.has_file(Path(f.path), folder)]
        passed_over = [f for f in passed_over if part.has_file(Path(f.path), folder)]
    readmit = not folder.is_dir()
    steps = add_files(
        library, files, fingerprinter, progress, unreadable, folder, readmit=readmit, ahead=ahead
    )
    for step in steps:  # noqa: B007
        pass
    report = step.report
    hidden += [Path(failure.path) for failure in report.failed]
    missing, there = _missing(library, folder, hidden, part)
    if prune and missing:
        if not force:
            _refuse_to_lose_most(library, folder, missing, there)
        with library.adding, library.changing() as catalogue:
            catalogue.remove_files(file.path for file in missing)
    paths = [str(library.located(file.path)) for file in missing]
    return replace(report, missing=paths, removed=paths if prune else [], passed_over=passed_over)


def add_files(
    library: Target,
    files: list[Path],
    fingerprinter: Fingerprinter,
    progress: OnProgress | None = None,
    failed: Sequence[Failure] = (),
    root: Path | None = None,
    *,
    readmit: bool = False,
    ahead: FingerprintAhead | None = None,
) -> Generator[IndexStep, None, None]:
    """Add files one after the other; yields a step before each, and one at the end.

    Files that cannot be used are added to the report's ``failed``, and those that were removed to
    stay out to ``kept_out``, unless ``readmit``. Closing the iterator stops between two files;
    those before are in the library. The caller calls ``Library.finish``. The next files are
    fingerprinted meanwhile by ``ahead``; without it, on a CPU, each on a thread. ``progress`` is
    as for ``Library.add_folder``. Raises LibraryError as ``Library.add`` does.
    """
    report = IndexReport(failed=list(failed))
    lists: dict[Status, list[str]] = {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "duplicate": report.duplicates,
    }

    def tell(file: Path, number: int, file_s: float) -> None:
        if progress:
            progress(shown(file), number, len(files), report.audio_s + file_s)

    with closing((ahead or _fingerprint_ahead)(library, files, fingerprinter)) as results:
        for number, file in enumerate(files):
            yield IndexStep(shown(file), number, len(files), report)
            tell(file, number, 0.0)
            try:
                if isinstance(prepared := next(results), ValueError):
                    raise prepared
                result = add_file(
                    library,
                    file,
                    fingerprinter,
                    partial(tell, file, number),
                    prepared,
                    root,
                    readmit=readmit,
                )
            except KeptOut:
                report.kept_out.append(shown(file))
            except ValueError as error:  # AudioError among them
                report.failed.append(Failure(shown(file), str(error)))
            else:
                lists[result.status].append(shown(file))
                if result.status in ("added", "updated"):
                    report = replace(report, audio_s=report.audio_s + result.track.duration_s)
            tell(file, number + 1, 0.0)
    yield IndexStep("", len(files), len(files), report)


def _fingerprint_ahead(
    library: Target, files: list[Path], fingerprinter: Fingerprinter
) -> Generator[FileFingerprints | ValueError | None, None, None]:
    """The fingerprints of each file, or why it cannot be used, or None: not computed ahead.

    None for known files, for long or single files (parallelised internally), and for all files on
    a GPU.
    """
    if fingerprinter.device.type != "cpu" or len(files) == 1:
        yield from itertools.repeat(None, len(files))
        return
    from grafprint.threads import side_by_side

    stopped = Event()

    def stop_if_needed(seconds: float | None) -> None:
        if stopped.is_set() or (seconds or 0.0) > LONG_S:
            raise _Stop

    def one(file: Path) -> FileFingerprints | ValueError | None:
        try:
            if is_settled(library, file):  # before it is opened: most files of a folder are
                return None
            stop_if_needed(audio.probe(file).duration_s)
            return fingerprint_file(library, file, fingerprinter, stop_if_needed)
        except _Stop:
            return None
        except ValueError as error:
            return error

    try:
        yield from side_by_side(one, files)
    finally:
        stopped.set()


def _missing(
    library: Target, folder: Path, unreadable: list[Path], part: Part | None
) -> tuple[list[File], list[File]]:
    """The library's files below ``folder``, or in a part of it: those gone, and the others."""
    hidden = [_place(path) for path in unreadable]
    missing: list[File] = []
    there: list[File] = []
    for file in library.files_below(_place(folder)):
        path = library.located(file.path)
        if part and not part.has_file(path, folder):
            continue
        # A file in a folder that could not be read may still be there.
        readable = not any(path.is_relative_to(place) for place in hidden)
        gone = readable and not os.path.lexists(path)
        (missing if gone else there).append(file)
    return missing, there


def _place(path: Path) -> Path:
    """Where the files below a folder are stored, which may be a link; or a file itself."""
    return Path(os.path.realpath(path)) if os.path.isdir(path) else real(path)


def _refuse_to_lose_most(
    library: Target, folder: Path, missing: list[File], there: list[File]
) -> None:
    """Raise LibraryError if most tracks of a folder would be lost: its drive may be unmounted.

    Files that only moved are there under another name by now, so their tracks are kept.
    """
    kept = {file.track for file in there}
    gone = {file.path for file in missing}
    candidates = {file.track for file in missing} - kept
    # A track may also have a file elsewhere.
    lost = sum(gone.issuperset(library.catalogue.paths_of(track)) for track in candidates)
    known = len(kept) + len(candidates)
    if lost > MOST * known:
        raise LibraryError(
            f"{lost} of {known} tracks are no longer in {folder}, so none was removed: is a drive "
            "not mounted? If they are to go, remove them with --force (force=True)"
        )
