"""Results on real recordings: windows, rates by group with clustered intervals, tables, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from grafprint.errors import ConfigError
from grafprint.evaluation.intervals import Rate, clustered, percent
from grafprint.evaluation.truth import Recording

ALL = "all"


@dataclass(frozen=True)
class RecordingsConfig:
    """Lengths of the windows, at most how many of each length a clip has, and the time tolerance.

    Recorders' clocks drift by some milliseconds a minute, and starts found by ear are tenths of a
    second off: ``tolerance_s`` is for both. Raises ConfigError for impossible values.
    """

    lengths_s: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 10.0)
    windows: int = 10
    tolerance_s: float = 0.5

    def __post_init__(self) -> None:
        if not self.lengths_s or min(self.lengths_s) < 1:
            raise ConfigError("windows are at least 1 s long: choose such lengths")
        if self.windows < 1 or not self.tolerance_s > 0:
            raise ConfigError("give at least one window a clip, and a tolerance above 0 s")


@dataclass(frozen=True)
class Window:
    """What was found for ``length_s`` of a clip, ``at_s`` into it.

    ``found`` is the number of the best track (None: nothing, as in silence), ``found_s`` where in
    it the window begins; ``named``: its ``score`` is enough to report it.
    """

    length_s: float
    at_s: float
    found: int | None
    found_s: float
    score: float
    named: bool


@dataclass(frozen=True)
class Judged:
    """A window, and the recording that it is from."""

    recording: Recording
    window: Window

    @property
    def right(self) -> bool:
        """Whether the right track was found."""
        track = self.recording.track
        return track is not None and self.window.found == track.id

    @property
    def error_s(self) -> float | None:
        """Found time minus true time; None if the track is wrong or the start is not known."""
        if not self.right or self.recording.start_s is None:
            return None
        return self.window.found_s - self.recording.start_s - self.window.at_s

    def within(self, tolerance_s: float) -> bool:
        """Whether track and time are right."""
        return self.error_s is not None and abs(self.error_s) <= tolerance_s


@dataclass(frozen=True)
class RecordingsReport:
    """An evaluation of recordings: ``windows`` has those of each of the ``recordings``."""

    config: RecordingsConfig
    by: str | None
    model_id: str
    references: int
    fingerprints: int
    hop_s: float
    recordings: list[Recording]
    windows: list[list[Window]]

    @property
    def measures(self) -> dict[str, str]:
        """The rates of a summary, in words."""
        return {
            "right_track": "right track",
            "right_tolerance": f"right track within {self.config.tolerance_s:g} s",
            "right_1hop": "right track within one hop",
            "named_right": "named, and right",
            "named_wrong": "named, but wrong",
            "named_when_absent": "not in the library, but named",
        }

    def groups(self) -> dict[str, list[int]]:
        """Numbers of the recordings, all and by the values of the column ``by``."""
        groups = {ALL: list(range(len(self.recordings)))}
        if self.by:
            for number, recording in enumerate(self.recordings):
                value = f"{self.by}: {recording.columns[self.by] or '-'}"
                groups.setdefault(value, []).append(number)
        return groups

    def summary(self, numbers: list[int], length_s: float) -> dict[str, Any]:
        """Rates of some recordings at a length, each [rate, low, high], or None without queries."""
        clips = [
            [Judged(self.recordings[n], w) for w in self.windows[n] if w.length_s == length_s]
            for n in numbers
        ]
        clips = [clip for clip in clips if clip]
        present = [clip for clip in clips if clip[0].recording.track is not None]
        absent = [clip for clip in clips if clip[0].recording.track is None]
        timed = [clip for clip in present if clip[0].recording.start_s is not None]
        errors = [j.error_s for clip in timed for j in clip if j.error_s is not None]
        hops = [b.window.at_s - a.window.at_s for c in clips for a, b in pairwise(c)]
        return {
            "length_s": length_s,
            "clips": len(present),
            "windows": sum(map(len, present)),
            "absent_clips": len(absent),
            "absent_windows": sum(map(len, absent)),
            "too_short_clips": len(numbers) - len(clips),
            "median_hop_s": float(np.median(hops)) if hops else None,
            "right_track": _rate(present, lambda j: j.right),
            "right_tolerance": _rate(timed, lambda j: j.within(self.config.tolerance_s)),
            "right_1hop": _rate(timed, lambda j: j.within(self.hop_s)),
            "named_right": _rate(present, lambda j: j.right and j.window.named),
            "named_wrong": _rate(present, lambda j: not j.right and j.window.named),
            "named_when_absent": _rate(absent, lambda j: j.window.named),
            "median_time_error_s": float(np.median(errors)) if errors else None,
        }

    def to_json(self) -> dict[str, Any]:
        """The report for a JSON file: a summary per group and length, and every window."""
        return {
            "config": asdict(self.config),
            "by": self.by,
            "model_id": self.model_id,
            "references": self.references,
            "fingerprints": self.fingerprints,
            "groups": {
                group: [self.summary(numbers, s) for s in self.config.lengths_s]
                for group, numbers in self.groups().items()
            },
            "recordings": [
                {
                    **recording.columns,
                    "track_id": recording.track.id if recording.track else None,
                    "windows": [asdict(window) for window in windows],
                }
                for recording, windows in zip(self.recordings, self.windows, strict=True)
            ],
        }


def recordings_table(report: RecordingsReport) -> Iterator[list[str]]:
    """Rows of text, header first: a row per group and measure, a column per length, in percent."""
    lengths_s = report.config.lengths_s
    yield ["recordings", "in %", *(f"{s:g} s" for s in lengths_s)]
    for group, numbers in report.groups().items():
        cells = [report.summary(numbers, s) for s in lengths_s]
        title = group
        for measure, words in report.measures.items():
            if any(cell[measure] for cell in cells):
                # Whole percents: there are rarely enough recordings for more.
                rates = (percent(cell[measure], 0) if cell[measure] else "" for cell in cells)
                yield [title, words, *rates]
                title = ""
        yield ["", "clips / windows", *(_counts(cell) for cell in cells)]


def _counts(cell: dict[str, Any]) -> str:
    clips, windows = cell["clips"], cell["windows"]
    return f"{clips + cell['absent_clips']} / {windows + cell['absent_windows']}"


def _rate(clips: list[list[Judged]], test: Callable[[Judged], bool]) -> Rate | None:
    return clustered((sum(map(test, clip)), len(clip)) for clip in clips)
