"""Node matrices of segments, recomputed from audio and kept within a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from grafprint.library.records import Track
from grafprint.matching.collection import Collection

CACHE_BYTES = 256 << 20


class AudioCollection(Collection, Protocol):
    """A collection that knows where the audio of its tracks is."""

    def audio_path(self, track: Track) -> Path | None:
        """The track's audio file; None if there is none any more."""
        ...


class NodeCache:
    """Nodes of segments, the least recently used of which make room: at most ``limit`` bytes."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
