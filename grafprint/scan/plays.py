"""Plays: the parts of a recording in which a track plays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from grafprint.library.records import Track
from grafprint.matching.collection import Collection

PAUSE_S = 6.0  # how long a play may be inaudible and still go on
_OFF_LINE_S, _OFF_SPEED = 0.3, 0.03  # how far from one line two parts of a play may be


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

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Play:
        """The play from :meth:`to_json`; its tracks have a name, but no file and fingerprints."""
        names = ("start_s", "end_s", "track_start_s", "track_end_s", "speed", "score")
        numbers = {name: float(values[name]) for name in names}
        others = tuple(_named(other) for other in values.get("alternatives", ()))
        return cls(track=_named(values), alternatives=others, **numbers)

    def numbers(self) -> dict[str, Any]:
        """The play with track ids instead of tracks, as :meth:`of_numbers` takes it."""
        others = [track.id for track in self.alternatives]
        return {**vars(self), "track": self.track.id, "alternatives": others}

    @classmethod
    def of_numbers(cls, library: Collection, numbers: dict[str, Any]) -> Play:
        """The play from its :meth:`numbers`. Raises LibraryError if a track is gone."""
        others = tuple(library.track(track) for track in numbers["alternatives"])
        return cls(**{**numbers, "track": library.track(numbers["track"]), "alternatives": others})


def _named(values: dict[str, Any]) -> Track:
    """A track of which only the id and the names are known."""
    names = {name: str(values.get(name, "")) for name in ("title", "artist", "album")}
    unknown = {"path": "", "content_hash": "", "duration_s": 0.0, "licence": "", "source": ""}
    return Track(id=int(values["track"]), first=0, count=0, **names, **unknown)  # type: ignore[arg-type]


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


def add_plays(plays: Iterable[Play], more: Iterable[Play]) -> list[Play]:
    """``plays`` and ``more``, which were found between them; a play that goes on is one play."""
    result = list(plays)
    for play in more:
        for number, other in enumerate(result):
            if (joined := _joined(other, play)) is not None:
                result[number] = joined
                break
        else:
            result.append(play)
    return merge_rivals(result)


def _joined(a: Play, b: Play) -> Play | None:
    """Two plays as one, if it is the same track and ``b`` lies on the line through both."""
    first, last = sorted((a, b), key=lambda play: play.start_s)
    if a.track.id != b.track.id or last.start_s - first.end_s > PAUSE_S:
        return None
    # Middles, since the speed of a short play is not known.
    apart_s = (last.start_s + last.end_s - first.start_s - first.end_s) / 2
    of_track_s = (
        last.track_start_s + last.track_end_s - first.track_start_s - first.track_end_s
    ) / 2
    if abs(of_track_s - b.speed * apart_s) > max(_OFF_LINE_S, _OFF_SPEED * apart_s):
        return None
    lengths = [play.end_s - play.start_s for play in (a, b)]
    longer, shorter = (a, b) if lengths[0] > lengths[1] else (b, a)  # its speed is known better
    start_s, end_s = first.start_s, max(a.end_s, b.end_s)
    from_s = longer.track_start_s - (longer.start_s - start_s) * longer.speed
    to_s = longer.track_end_s + (end_s - longer.end_s) * longer.speed
    tracks = {track.id: track for track in (*longer.alternatives, *shorter.alternatives)}
    return replace(
        longer,
        start_s=start_s,
        end_s=end_s,
        track_start_s=max(0.0, from_s),
        track_end_s=min(longer.track.duration_s, to_s),
        score=(a.score * lengths[0] + b.score * lengths[1]) / max(1e-9, sum(lengths)),
        alternatives=tuple(tracks.values()),
    )


def rivals(a: Play, b: Play) -> bool:
    """Whether two plays overlap for more than half of the shorter one."""
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return a is not b and shared > 0.5 * min(a.end_s - a.start_s, b.end_s - b.start_s)
