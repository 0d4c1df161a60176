"""What is known about the samples in a song: tracks, and which part is made of which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafprint.library.records import Track


@dataclass(frozen=True)
class MatchedRegion:
    """A part of the song, and the part of a track that it seems to be made of; times in seconds.

    ``speed``: how many times as fast as in the track it plays in the song; None where the region
    is too short to tell. ``probability`` is the best of its segments', by the re-ranker; None
    without one. ``similarity`` is the highest cosine similarity, ``segments`` the number of
    segments that matched.
    """

    start_s: float
    end_s: float
    track_start_s: float
    track_end_s: float
    speed: float | None
    probability: float | None
    similarity: float
    segments: int

    def to_json(self) -> dict[str, Any]:
        """The region as plain values."""
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "track_start_s": round(self.track_start_s, 3),
            "track_end_s": round(self.track_end_s, 3),
            "speed": None if self.speed is None else round(self.speed, 3),
            "probability": None if self.probability is None else round(self.probability, 4),
            "similarity": round(self.similarity, 4),
            "segments": self.segments,
        }


@dataclass(frozen=True)
class SampledTrack:
    """A track that the song may sample.

    ``evidence`` is what similarity says: how much the segments that lie on common lines stand out.
    ``score`` without a re-ranker is the same. With one it is the sum over the track's matched
    segments of each one's best probability, 0 if none reaches the least one, times a twelfth of the
    evidence. The two scores cannot be compared. ``probability`` is the best segment's, None
    without a re-ranker. ``found``: the score reaches the threshold, so the track is reported.
    ``same_recording``: it is not a sample but the song itself, or another release of it, and is not
    judged. ``regions`` are in the order of the song, and do not overlap there.
    """

    track: Track
    score: float
    evidence: float
    probability: float | None
    found: bool
    same_recording: bool
    regions: tuple[MatchedRegion, ...]

    @property
    def best(self) -> MatchedRegion:
        """The region with the most evidence."""
        return max(
            self.regions,
            key=lambda r: (r.probability or 0.0, r.segments, r.similarity),
        )

    def to_json(self) -> dict[str, Any]:
        """The track as plain values, with its regions."""
        t = self.track
        return {
            "track": t.id,
            "path": t.path,
            "duration_s": round(t.duration_s, 3),
            "title": t.title,
            "artist": t.artist,
            "album": t.album,
            "licence": t.licence,
            "score": round(self.score, 4),
            "evidence": round(self.evidence, 4),
            "probability": None if self.probability is None else round(self.probability, 4),
            "found": self.found,
            "same_recording": self.same_recording,
            "regions": [region.to_json() for region in self.regions],
        }


@dataclass(frozen=True)
class Unchecked:
    """A candidate that the re-ranker could not judge, since its audio cannot be had."""

    track: Track
    reason: str


@dataclass(frozen=True)
class SamplesFound:
    """The candidates of a song, best first, found or not.

    ``reranked``: a re-ranker judged them; if not, similarity alone did. ``unchecked`` are those
    left out for want of their audio.
    """

    tracks: tuple[SampledTrack, ...]
    duration_s: float
    reranked: bool
    threshold: float
    unchecked: tuple[Unchecked, ...] = ()

    @property
    def found(self) -> tuple[SampledTrack, ...]:
        """The tracks that are reported as sampled, best first."""
        return tuple(t for t in self.tracks if t.found and not t.same_recording)

    @property
    def same_recordings(self) -> tuple[SampledTrack, ...]:
        """The tracks that are the song itself."""
        return tuple(t for t in self.tracks if t.same_recording)

    def to_json(self) -> dict[str, Any]:
        """The answer as plain values: times in seconds, best track first."""
        return {
            "duration_s": round(self.duration_s, 3),
            "reranked": self.reranked,
            "threshold": round(self.threshold, 4),
            "samples": [track.to_json() for track in self.found],
            "same_recordings": [track.to_json() for track in self.same_recordings],
            "others": [t.to_json() for t in self.tracks if not t.found and not t.same_recording],
            "unchecked": [
                {"track": u.track.id, "path": u.track.path, "reason": u.reason}
                for u in self.unchecked
            ],
        }
