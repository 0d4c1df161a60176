"""What a library remembers: tracks, their files, and facts about itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Protocol

from grafprint.audio.metadata import Tags


class Network(Protocol):
    """What a library needs to know of the network that makes its fingerprints."""

    @property
    def model_id(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def hop_s(self) -> float: ...
    @property
    def window_s(self) -> float: ...
    @property
    def imitates(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Track:
    """A recording in a library; its fingerprints are the rows ``first .. first + count - 1``.

    ``path`` is relative to the library where the file is near it (see ``Library.add``).
    ``content_hash`` is the SHA-256 of the file. ``licence`` and ``source`` (attribution: an
    address or a text) are from its tags and may be empty, as may ``artist`` and ``album``.
    """

    id: int
    path: str
    content_hash: str
    duration_s: float
    title: str
    artist: str
    album: str
    licence: str
    source: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class File:
    """A file that holds a track; unchanged as long as its size and time of change are."""

    path: str
    track: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Meta:
    """What a library remembers of itself: the network it was made with, and its state."""

    library_id: str
    model_id: str
    dim: int
    hop_s: float
    window_s: float
    factory: str | None  # of the index; None: chosen by size
    generation: int  # counts renumberings of the rows
    rows: int  # of the fingerprints' file, including dead ones
    removals: int  # counts changes that left dead rows


@dataclass(frozen=True)
class Recording:
    """What is stored of a new recording."""

    content_hash: str
    duration_s: float
    tags: Tags
    count: int  # fingerprints, which follow the last committed row
    crc32: int  # of their bytes


def new_meta(model_id: str, dim: int, hop_s: float, window_s: float, factory: str | None) -> Meta:
    """The facts of a new, empty library."""
    return Meta(uuid.uuid4().hex, model_id, dim, hop_s, window_s, factory, 0, 0, 0)
