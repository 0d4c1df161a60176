"""Plays: the parts of a recording in which a track plays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from grafprint.library.records import Track
from grafprint.matching.collection import Collection


@dataclass(frozen=True)
class Play:
    """A part of a recording in which a track plays.

    Times in seconds: ``start_s`` to ``end_s`` of the recording is ``track_start_s`` to
    ``track_end_s`` of the track; ``speed`` is in seconds of the track per second of the recording.
    ``score`` is the mean cosine similarity over its query steps. ``alternatives`` are other tracks
    that fit the same part: other releases, compilations, shared loops.
    """

    track: Track
    start_s: float
    end_s: float
    track_start_s: float
    track_end_s: float
    speed: float
    score: float
    alternatives: tuple[Track, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The play as plain values."""
        return {
            "title": self.track.title,
            "artist": self.track.artist,
            "album": self.track.album,
            "start_s": round(self.start_s, 2),
            "end_s": round(self.end_s, 2),
            "track_start_s": round(self.track_start_s, 2),
            "track_end_s": round(self.track_end_s, 2),
            "speed": round(self.speed, 4),
            "score": round(self.score, 4),
            "track": self.track.id,
            "alternatives": [
                {"title": t.title, "artist": t.artist, "track": t.id} for t in self.alternatives
            ],
        }

    def numbers(self) -> dict[str, Any]:
        """The play with track ids instead of tracks, as :meth:`of_numbers` takes it."""
        others = [track.id for track in self.alternatives]
        return {**vars(self), "track": self.track.id, "alternatives": others}

    @classmethod
    def of_numbers(cls, library: Collection, numbers: dict[str, Any]) -> Play:
        """The play from its :meth:`numbers`. Raises LibraryError if a track is gone."""
        others = tuple(library.track(track) for track in numbers["alternatives"])
        return cls(**{**numbers, "track": library.track(numbers["track"]), "alternatives": others})


def merge_rivals(plays: Iterable[Play]) -> list[Play]:
    """Keep the best of the plays that overlap, with the others as alternatives, in order of time.

    The best has the largest product of length and score.
    """
    chosen: list[Play] = []
    for play in sorted(plays, key=lambda p: -(p.end_s - p.start_s) * p.score):
        rival = next((n for n, other in enumerate(chosen) if rivals(play, other)), None)
        if rival is None:
            chosen.append(play)
        elif play.track.id != chosen[rival].track.id:
            best = chosen[rival]
            others = {t.id: t for t in (*best.alternatives, play.track, *play.alternatives)}
            chosen[rival] = replace(best, alternatives=tuple(others.values()))
    return sorted(chosen, key=lambda p: p.start_s)


def rivals(a: Play, b: Play) -> bool:
    """Whether two plays overlap for more than half of the shorter one."""
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return a is not b and shared > 0.5 * min(a.end_s - a.start_s, b.end_s - b.start_s)
