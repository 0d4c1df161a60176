"""Long recordings from beginning to end: which tracks are heard in them, when, and the gaps."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import audio, files
from grafprint.errors import DataError, LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.matching.collection import Collection
from grafprint.scan.plays import Play, merge_rivals
from grafprint.scan.timeline import Timeline, TimelineConfig

CHUNK_S = 30.0
KEEP_EVERY_S = 120.0  # of the recording, between two states on the disk
GAP_S = 2.0  # shorter ones between two plays are not reported


@dataclass(frozen=True)
class Gap:
    """Nothing of the library is heard: ``silent``, or something unknown."""

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
    """What is heard in a recording: ``plays`` in order of time (they may overlap), and the gaps."""

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
    """Follow a recording of any length through the library; memory does not grow with it.

    ``on_progress`` gets what :func:`scans` yields. With the file ``state`` a scan that was
    interrupted goes on where it was, and the file is deleted at the end.

    Raises AudioError if the recording cannot be read or is shorter than a second, MatchError if the
    library is empty, LibraryError if another network made it, or the disk is full; ValueError if
    ``state`` is of another recording, library or configuration.
    """
    for found, share in scans(library, fingerprinter, path, config=config, state=state):
        if on_progress:
            on_progress(found, share)
    return found


def scans(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    config: TimelineConfig | None = None,
    state: Path | None = None,
) -> Generator[tuple[Scan, float], None, None]:
    """The same, step by step: the scan of what is done so far, after every half minute of it.

    Beside it the share that is done, in 0..1, by the length in the header (0 if that has none);
    the last one is whole. Raises as :func:`scan` does.
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
    """What the plays leave of ``duration_s`` seconds; silent where ``silences`` cover them."""
    found, end_s = [], 0.0
    for start_s, until_s in [*((p.start_s, p.end_s) for p in plays), (duration_s, duration_s)]:
        if start_s - end_s >= GAP_S:
            quiet_s = sum(max(0.0, min(b, start_s) - max(a, end_s)) for a, b in silences)
            found.append(Gap(end_s, start_s, quiet_s > 0.9 * (start_s - end_s)))
        end_s = max(end_s, until_s)
    return found


class _Follower:
    """A timeline, and what is known of the recording besides."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.plays: list[Play] = []
        self.silences: list[tuple[float, float]] = []
        self.duration_s = 0.0

    def run(self, fingerprinter: Fingerprinter, path: Path) -> Iterator[float]:
        """Go on to the end; yields the seconds done, now and then."""
        hop_s = fingerprinter.hop_s
        begin_s = reported_s = self.timeline.segments * hop_s
        samples = 0

        def chunks() -> Iterator[np.ndarray]:
            nonlocal samples
            for chunk in audio.stream(path, chunk_s=CHUNK_S, start_s=begin_s):
                samples += len(chunk)
                yield chunk

        for vectors in fingerprinter.stream(chunks()):
            self._note_silence(vectors, hop_s, fingerprinter.window_s)
            self.plays += self.timeline.push(vectors)
            if self.timeline.heard_s - reported_s >= CHUNK_S:
                reported_s = self.timeline.heard_s
                yield reported_s
        self.plays += self.timeline.finish()
        self.duration_s = begin_s + samples / audio.SAMPLE_RATE

    def scan(self, path: Path, duration_s: float) -> Scan:
        """What is known of the first ``duration_s`` seconds."""
        plays = merge_rivals([*self.plays, *self.timeline.playing])
        return Scan(str(path), duration_s, plays, gaps(plays, self.silences, duration_s))

    def _note_silence(self, vectors: np.ndarray, hop_s: float, window_s: float) -> None:
        """A silent segment is a second of silence; those that touch are one."""
        for number in np.flatnonzero(~vectors.any(axis=1)):
            start_s = end_s = (self.timeline.segments + int(number)) * hop_s
            if self.silences and start_s <= self.silences[-1][1]:
                start_s = self.silences.pop()[0]
            self.silences.append((start_s, end_s + window_s))

    def keep(self, state: Path, path: Path) -> None:
        """Write down where it is, in one step."""
        text = json.dumps({
            "recording": [path.name, path.stat().st_size],
            "plays": [play.numbers() for play in self.plays],
            "silences": self.silences,
            "timeline": self.timeline.state(),
        })  # fmt: skip
        files.replace_text(state, text)

    @classmethod
    def resumed(
        cls, state: Path, path: Path, library: Collection, config: TimelineConfig | None
    ) -> _Follower:
        """From what :meth:`keep` wrote; DataError if that cannot be used."""
        try:
            kept = json.loads(state.read_text(encoding="utf-8"))
            if kept["recording"] != [path.name, path.stat().st_size]:
                raise ValueError("it is of another recording")
            follower = cls(Timeline.resumed(library, kept["timeline"], config))
            follower.plays = [Play.of_numbers(library, numbers) for numbers in kept["plays"]]
            follower.silences = [(start_s, end_s) for start_s, end_s in kept["silences"]]
        except (ValueError, KeyError, TypeError, LibraryError) as failure:
            raise DataError(
                f"cannot go on from {state}: {failure}; delete it to begin anew"
            ) from failure
        return follower
