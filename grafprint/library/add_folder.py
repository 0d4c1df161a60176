"""Bring many audio files into a library: what became of each is in a report."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

from grafprint import audio
from grafprint.audio.folders import Failure, audio_files
from grafprint.library.add_file import (
    FileFingerprints,
    Status,
    add_file,
    fingerprint_file,
    is_unchanged,
    real,
    shown,
)
from grafprint.library.folder import LibraryFolder

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

OnProgress = Callable[[str, int, int, float], None]


LONG_S = 600.0  # longer files are fingerprinted by all threads together


class _Enough(Exception):
    """What makes :func:`fingerprint_file` end early."""


@dataclass(frozen=True)
class IndexReport:
    """What became of the files of a folder; paths as found.

    ``missing`` are files the library knows that are no longer in the folder, ``removed`` those of
    them that it has now forgotten. ``audio_s`` is the length of what was fingerprinted.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    audio_s: float = 0.0


class IndexStep(NamedTuple):
    """Where the addition of several files is: ``done`` of ``total``, and what became of those.

    ``path`` is the file that comes next, empty at the end.
    """

    path: str
    done: int
    total: int
    report: IndexReport


def add_folder(
    library: LibraryFolder,
    folder: Path,
    fingerprinter: Fingerprinter,
    progress: OnProgress | None,
    *,
    prune: bool,
) -> IndexReport:
    """See ``Library.add_folder``."""
    library.require_writable()
    library.check_model(fingerprinter.model_id)
    unreadable: list[Failure] = []
    files = audio_files(folder, unreadable)
    for step in add_files(library, files, fingerprinter, progress, unreadable):  # noqa: B007
        pass
    report = step.report
    missing = _missing(library, folder, [Path(failure.path) for failure in report.failed])
    if prune and missing:
        with library.adding, library.changing() as catalogue:
            catalogue.remove_files(missing)
    paths = [str(library.located(path)) for path in missing]
    return replace(report, missing=paths, removed=paths if prune else [])


def add_files(
    library: LibraryFolder,
    files: list[Path],
    fingerprinter: Fingerprinter,
    progress: OnProgress | None = None,
    failed: Sequence[Failure] = (),
) -> Generator[IndexStep, None, None]:
    """Add files one after the other; a step before each, and one at the end.

    Files that cannot be used are reported, after those that ``failed`` already. Closing the
    iterator ends it between two files; those before are in the library. ``Library.finish`` is the
    caller's. On a processor those that come next are fingerprinted meanwhile, on a thread each.
    ``progress`` is as for ``Library.add_folder``. Raises LibraryError as ``Library.add`` does.
    """
    report = IndexReport(failed=list(failed))
    lists: dict[Status, list[str]] = {"added": report.added, "updated": report.updated,
             "unchanged": report.unchanged, "duplicate": report.duplicates}  # fmt: skip

    def tell(file: Path, number: int, heard_s: float) -> None:
        if progress:
            progress(shown(file), number, len(files), report.audio_s + heard_s)

    with closing(_fingerprint_ahead(library, files, fingerprinter)) as heard:
        for number, file in enumerate(files):
            yield IndexStep(shown(file), number, len(files), report)
            tell(file, number, 0.0)
            try:
                if isinstance(made := next(heard), ValueError):
                    raise made
                telling = partial(tell, file, number)
                result = add_file(library, file, fingerprinter, telling, made)
            except ValueError as error:  # AudioError among them
                report.failed.append(Failure(shown(file), str(error)))
            else:
                lists[result.status].append(shown(file))
                if result.status in ("added", "updated"):
                    report = replace(report, audio_s=report.audio_s + result.track.duration_s)
            tell(file, number + 1, 0.0)
    yield IndexStep("", len(files), len(files), report)


def _fingerprint_ahead(
    library: LibraryFolder, files: list[Path], fingerprinter: Fingerprinter
) -> Generator[FileFingerprints | ValueError | None, None, None]:
    """The fingerprints of each file, or what is wrong with it; None where they are not made here.

    So it is for files that the library knows, for long ones and one alone, whose parts the threads
    share, and for all on a GPU.
    """
    if fingerprinter.device.type != "cpu" or len(files) == 1:
        yield from itertools.repeat(None, len(files))
        return
    from grafprint.threads import side_by_side

    stopped = Event()

    def enough(seconds: float | None) -> None:
        if stopped.is_set() or (seconds or 0.0) > LONG_S:
            raise _Enough

    def one(file: Path) -> FileFingerprints | ValueError | None:
        try:
            if is_unchanged(library, file):  # of many files no more is to be asked
                return None
            enough(audio.probe(file).duration_s)
            return fingerprint_file(library, file, fingerprinter, enough)
        except _Enough:
            return None
        except ValueError as error:
            return error

    try:
        yield from side_by_side(one, files)
    finally:
        stopped.set()


def _missing(library: LibraryFolder, folder: Path, unreadable: list[Path]) -> list[str]:
    """Stored paths of the library's files below ``folder`` that are no longer there."""
    top = real(folder)
    hidden = [real(path) for path in unreadable]
    missing = []
    for stored in library.catalogue.files:
        path = library.located(stored)
        # What lies in a folder that could not be read is not known to be gone.
        known = not any(path.is_relative_to(place) for place in hidden)
        if path.is_relative_to(top) and known and not os.path.lexists(path):
            missing.append(stored)
    return missing
