"""Scan long recordings: which tracks play in them, when, and the gaps between."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from grafprint import audio, files
from grafprint.errors import DataError, LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.library.add_file import shown
from grafprint.matching.collection import Collection
from grafprint.scan.config import TimelineConfig
from grafprint.scan.passes import Pass, Span
from grafprint.scan.plays import Play, add_plays, merge_rivals
from grafprint.scan.results import Scan, gaps
from grafprint.scan.timeline import Timeline

KEEP_EVERY_S = 120.0  # seconds of audio between two saved states
_SPEED_NEEDS_S = 6.0  # at other speeds


def scan(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    config: TimelineConfig | None = None,
    speeds: Sequence[float] = (),
    state: Path | None = None,
    on_progress: Callable[[Scan, float], None] | None = None,
) -> Scan:
    """Find the tracks in a recording of any length; memory does not grow with it.

    Where nothing is found, each of the other ``speeds`` (such as OTHER_SPEEDS) is tried: the audio
    is slowed down by that factor and scanned again. Since these are more chances of an error, they
    need more confidence (:meth:`TimelineConfig.for_looks`).

    ``on_progress`` gets what :func:`scans` yields. With the file ``state``, an interrupted scan is
    resumed; the file is deleted at the end.

    Raises AudioError if the recording cannot be read or is shorter than a second, MatchError if the
    library is empty, LibraryError if another network made it or the disk is full, ValueError if
    ``state`` is of another recording, library or configuration, or a speed is not possible.
    """
    steps = scans(library, fingerprinter, path, config=config, speeds=speeds, state=state)
    for result, share in steps:
        if on_progress:
            on_progress(result, share)
    return result


def scans(
    library: Collection,
    fingerprinter: Fingerprinter,
    path: str | os.PathLike[str],
    *,
    config: TimelineConfig | None = None,
    speeds: Sequence[float] = (),
    state: Path | None = None,
) -> Generator[tuple[Scan, float], None, None]:
    """:func:`scan` step by step: yields the scan so far after every half minute of audio.

    Also yields the share done, 0..1, by the length in the file's header (0 if it has none). The
    last scan is complete. Raises as :func:`scan` does.
    """
    path = Path(path)
    library.check_query(fingerprinter)
    scanner = _Scanner(library, path, config, speeds)
    if state and state.is_file():
        scanner.resume(state)
    total_s = audio.probe(path).duration_s or 0.0
    share, kept_s = 0.0, scanner.done_s
    more = True
    while more:
        for _ in scanner.current.run(fingerprinter, path):
            so_far = scanner.scan()
            share = max(share, scanner.share(so_far, total_s))  # what is left is an estimate
            yield so_far, share
            if state and scanner.done_s - kept_s >= KEEP_EVERY_S:
                scanner.keep(state)
                kept_s = scanner.done_s
        more = scanner.next_pass()
    if state:
        state.unlink(missing_ok=True)
    yield scanner.scan(), 1.0


class _Scanner:
    """A scan in progress: a pass at the recording's own speed, then one for each other speed."""

    def __init__(
        self,
        library: Collection,
        path: Path,
        config: TimelineConfig | None,
        speeds: Sequence[float],
    ) -> None:
        self._library, self._path = library, path
        self._config = config or TimelineConfig()
        self._speeds = tuple(speeds)
        self._number = 0  # of the pass
        self.current = Pass(Timeline(library, config))
        # Of the passes before:
        self._plays: list[Play] = []
        self._silences: list[Span] = []
        self._duration_s = 0.0
        self._before_s = 0.0

    @property
    def done_s(self) -> float:
        """Seconds of audio that have been fingerprinted, in all passes."""
        heard_s = self.current.heard_s
        return self._before_s + sum(max(0.0, min(b, heard_s) - a) for a, b in self.current.parts)

    def scan(self) -> Scan:
        """The scan so far."""
        if not self._number:
            plays, silences = merge_rivals(self.current.plays), self.current.silences
            duration_s = self.current.duration_s or self.current.heard_s
        else:
            plays, silences = add_plays(self._plays, self.current.plays), self._silences
            duration_s = self._duration_s
        found = gaps(plays, silences, duration_s)
        return Scan(shown(self._path), duration_s, plays, found)

    def share(self, so_far: Scan, total_s: float) -> float:
        """Which share of the work is done; what is unknown so far tells what is to come."""
        left = len(self._speeds) - self._number
        unknown_s = sum(b - a for a, b in self._unknown(so_far))
        if not self._number:
            if not total_s:
                return 0.0
            expected_s = total_s * (1 + left * unknown_s / so_far.duration_s)
        else:
            here_s = sum(b - a for a, b in self.current.parts)
            expected_s = self._before_s + here_s + left * unknown_s
        return min(1.0, self.done_s / expected_s)

    def next_pass(self) -> bool:
        """Begin the next pass; False if that was the last one, or nothing is unknown."""
        so_far = self.scan()
        self._before_s = self.done_s
        if not self._number:
            self._silences, self._duration_s = self.current.silences, self.current.duration_s
        self._plays = so_far.plays
        self._number += 1
        parts = tuple(self._unknown(so_far))
        if self._number > len(self._speeds) or not parts:
            self.current = Pass(Timeline(self._library, self._stricter), parts=())
            return False
        speed = self._speeds[self._number - 1]
        self.current = Pass(Timeline(self._library, self._stricter), speed, parts)
        return True

    @property
    def _stricter(self) -> TimelineConfig:
        config = self._config.for_looks(1 + len(self._speeds))
        # The true speed may be 3 % beside the one that is tried, which shows sooner.
        return replace(config, speed_needs_s=min(config.speed_needs_s, _SPEED_NEEDS_S))

    def _unknown(self, so_far: Scan) -> list[Span]:
        """The parts in which another speed may find something."""
        # Two query steps are needed. Segments at the edges of a gap are partly outside.
        least_s, margin_s = self._config.look_s + self._config.every_s, self._library.window_s
        return [
            (max(0.0, gap.start_s - margin_s), min(so_far.duration_s, gap.end_s + margin_s))
            for gap in so_far.gaps
            if not gap.silent and gap.end_s - gap.start_s >= least_s
        ]

    # Interrupting -------------------------------------------------------------------------------

    def keep(self, state: Path) -> None:
        """Save the state atomically."""
        kept = {
            "recording": _mark(self._path),
            "pass": self._number,
            "speeds": self._speeds,
            "before": {
                "plays": [play.numbers() for play in self._plays],
                "silences": self._silences,
                "duration_s": self._duration_s,
                "done_s": self._before_s,
            },
            "current": self.current.state(),
        }
        files.replace_text(state, json.dumps(kept))

    def resume(self, state: Path) -> None:
        """Continue from what :meth:`keep` wrote. Raises DataError if it cannot be used."""
        try:
            kept = json.loads(state.read_text(encoding="utf-8"))
            if kept["recording"] != _mark(self._path):
                raise ValueError("it is of another recording")
            number, before = kept["pass"], kept["before"]
            if number and tuple(kept["speeds"]) != self._speeds:
                raise ValueError("it was started with other speeds")
            config = self._stricter if number else self._config
            speed = self._speeds[number - 1] if number else 1.0
            self.current = Pass.resumed(self._library, kept["current"], speed, config)
            self._plays = [Play.of_numbers(self._library, play) for play in before["plays"]]
            self._silences = [(start_s, end_s) for start_s, end_s in before["silences"]]
            self._duration_s, self._before_s = before["duration_s"], before["done_s"]
            self._number = number
        except (ValueError, KeyError, TypeError, LibraryError) as failure:
            raise DataError(
                f"cannot resume from {state}: {failure}; delete it to start again"
            ) from failure


def _mark(path: Path) -> list[Any]:
    """What tells a recording from another one in its place."""
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]
