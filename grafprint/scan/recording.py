"""Scan long recordings: which tracks play in them, when, and the gaps between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import audio, files
from grafprint.errors import AudioError, DataError, LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.library.add_file import shown
from grafprint.matching.collection import Collection
from grafprint.scan.plays import Play, merge_rivals
from grafprint.scan.timeline import Timeline, TimelineConfig

CHUNK_S = 30.0
KEEP_EVERY_S = 120.0  # seconds of the recording between two saved states
GAP_S = 2.0  # shorter gaps between two plays are not reported


@dataclass(frozen=True)
class Gap:
    """A part with nothing from the library: ``silent``, or unknown audio."""

    start_s: float
    end_s: float
    silent: bool

    def to_json(self) -> dict[str, Any]:
        """The gap as plain values."""
        return {
            "title": None,
            "start_s": round(self.start_s, 2),
            "end_s": round(self.end_s, 2),
            "silent": self.silent,
        }


@dataclass(frozen=True)
class Scan:
    """The ``plays`` in a recording in order of time (they may overlap), and the gaps.

    ``path`` is printable: bytes of a name that are not UTF-8 are replaced.
    """

    path: str
    duration_s: float
    plays: list[Play]
    gaps: list[Gap]

    @property
    def entries(self) -> list[Play | Gap]:
        """Plays and gaps in order of time."""
        return sorted([*self.plays, *self.gaps], key=lambda entry: entry.start_s)

    def to_json(self) -> dict[str, Any]:
        """The scan as plain values; gaps are entries whose title is None."""
        return {
            "recording": self.path,
            "duration_s": round(self.duration_s, 2),
            "entries": [entry.to_json() for entry in self.entries],
        }


def scan(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    config: TimelineConfig | None = None,
    state: Path | None = None,
    on_progress: Callable[[Scan, float], None] | None = None,
) -> Scan:
    """Find the tracks in a recording of any length; memory does not grow with it.

    ``on_progress`` gets what :func:`scans` yields. With the file ``state``, an interrupted scan is
    resumed; the file is deleted at the end.

    Raises AudioError if the recording cannot be read or is shorter than a second, MatchError if the
    library is empty, LibraryError if another network made it or the disk is full, ValueError if
    ``state`` is of another recording, library or configuration.
    """
    for result, share in scans(library, fingerprinter, path, config=config, state=state):
        if on_progress:
            on_progress(result, share)
    return result


def scans(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    config: TimelineConfig | None = None,
    state: Path | None = None,
) -> Generator[tuple[Scan, float], None, None]:
    """:func:`scan` step by step: yields the scan so far after every half minute of the recording.

    Also yields the share done, 0..1, by the length in the file's header (0 if it has none). The
    last scan is complete. Raises as :func:`scan` does.
    """
    path = Path(path)
    library.check_query(fingerprinter)
    follower = _Follower(Timeline(library, config))
    if state and state.is_file():
        follower = _Follower.resumed(state, path, library, config)
    total_s = audio.probe(path).duration_s
    kept_s = follower.timeline.heard_s
    for done_s in follower.run(fingerprinter, path):
        yield follower.scan(path, done_s), min(1.0, done_s / total_s) if total_s else 0.0
        if state and done_s - kept_s >= KEEP_EVERY_S:
            follower.keep(state, path)
            kept_s = done_s
    if state:
        state.unlink(missing_ok=True)
    yield follower.scan(path, follower.duration_s), 1.0


def gaps(plays: list[Play], silences: list[tuple[float, float]], duration_s: float) -> list[Gap]:
    """The gaps between plays in ``duration_s`` seconds; silent where ``silences`` cover them."""
    result, end_s = [], 0.0
    for start_s, until_s in [*((p.start_s, p.end_s) for p in plays), (duration_s, duration_s)]:
        if start_s - end_s >= GAP_S:
            quiet_s = sum(max(0.0, min(b, start_s) - max(a, end_s)) for a, b in silences)
            result.append(Gap(end_s, start_s, quiet_s > 0.9 * (start_s - end_s)))
        end_s = max(end_s, until_s)
    return result


class _Follower:
    """A scan in progress: the timeline, and the plays and silences so far."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.plays: list[Play] = []
        self.silences: list[tuple[float, float]] = []
        self.duration_s = 0.0

    def run(self, fingerprinter: Fingerprinter, path: Path) -> Iterator[float]:
        """Continue to the end; yields the seconds done after every chunk."""
        hop_s = fingerprinter.hop_s
        begin_s = reported_s = self.timeline.segments * hop_s
        samples = 0

        def chunks() -> Iterator[np.ndarray]:
            nonlocal samples
            for chunk in audio.stream(path, chunk_s=CHUNK_S, start_s=begin_s):
                samples += len(chunk)
                yield chunk
            length_s, needed_s = begin_s + samples / audio.SAMPLE_RATE, fingerprinter.window_s
            if length_s < needed_s:
                raise AudioError(
                    f"cannot scan {shown(path)!r}: it is {length_s:.2f} s long; "
                    f"at least {needed_s:g} s is needed"
                )

        for vectors in fingerprinter.stream(chunks()):
            self._note_silence(vectors, hop_s, fingerprinter.window_s)
            self.plays += self.timeline.push(vectors)
            if self.timeline.heard_s - reported_s >= CHUNK_S:
                reported_s = self.timeline.heard_s
                yield reported_s
        self.plays += self.timeline.finish()
        self.duration_s = begin_s + samples / audio.SAMPLE_RATE

    def scan(self, path: Path, duration_s: float) -> Scan:
        """The scan of the first ``duration_s`` seconds."""
        plays = merge_rivals([*self.plays, *self.timeline.playing])
        return Scan(shown(path), duration_s, plays, gaps(plays, self.silences, duration_s))

    def _note_silence(self, vectors: np.ndarray, hop_s: float, window_s: float) -> None:
        """Add the silent segments to ``silences``, merging those that touch."""
        for number in np.flatnonzero(~vectors.any(axis=1)):
            start_s = end_s = (self.timeline.segments + int(number)) * hop_s
            if self.silences and start_s <= self.silences[-1][1]:
                start_s = self.silences.pop()[0]
            self.silences.append((start_s, end_s + window_s))

    def keep(self, state: Path, path: Path) -> None:
        """Save the state atomically."""
        kept = {
            "recording": _mark(path),
            "plays": [play.numbers() for play in self.plays],
            "silences": self.silences,
            "timeline": self.timeline.state(),
        }
        files.replace_text(state, json.dumps(kept))

    @classmethod
    def resumed(
        cls, state: Path, path: Path, library: Collection, config: TimelineConfig | None
    ) -> _Follower:
        """Resume from what :meth:`keep` wrote. Raises DataError if it cannot be used."""
        try:
            kept = json.loads(state.read_text(encoding="utf-8"))
            if kept["recording"] != _mark(path):
                raise ValueError("it is of another recording")
            follower = cls(Timeline.resumed(library, kept["timeline"], config))
            follower.plays = [Play.of_numbers(library, numbers) for numbers in kept["plays"]]
            follower.silences = [(start_s, end_s) for start_s, end_s in kept["silences"]]
        except (ValueError, KeyError, TypeError, LibraryError) as failure:
            raise DataError(
                f"cannot resume from {state}: {failure}; delete it to start again"
            ) from failure
        return follower


def _mark(path: Path) -> list[Any]:
    """What tells a recording from another one in its place."""
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]
