"""What a scan finds: plays, and the gaps between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafprint.scan.plays import Play

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

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Gap:
        """The gap from :meth:`to_json`."""
        return cls(float(values["start_s"]), float(values["end_s"]), bool(values["silent"]))


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

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Scan:
        """The scan from :meth:`to_json`, with tracks as :meth:`Play.of_json` makes them."""
        entries = values["entries"]
        plays = [Play.of_json(entry) for entry in entries if entry["title"] is not None]
        quiet = [Gap.of_json(entry) for entry in entries if entry["title"] is None]
        return cls(str(values["recording"]), float(values["duration_s"]), plays, quiet)


def gaps(plays: list[Play], silences: list[tuple[float, float]], duration_s: float) -> list[Gap]:
    """The gaps between plays in ``duration_s`` seconds; silent where ``silences`` cover them."""
    result, end_s = [], 0.0
    for start_s, until_s in [*((p.start_s, p.end_s) for p in plays), (duration_s, duration_s)]:
        if start_s - end_s >= GAP_S:
            quiet_s = sum(max(0.0, min(b, start_s) - max(a, end_s)) for a, b in silences)
            result.append(Gap(end_s, start_s, quiet_s > 0.9 * (start_s - end_s)))
        end_s = max(end_s, until_s)
    return result
