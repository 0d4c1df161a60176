"""What a library stores: tracks, their files, and facts about itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from grafprint.errors import LibraryError

if TYPE_CHECKING:
    from grafprint.audio.metadata import Tags


class Network(Protocol):
    """What a library needs to know about the network that computes its fingerprints."""

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


class Totals(NamedTuple):
    """Of a library: how many tracks, how long they are together, and how many have tags."""

    tracks: int
    duration_s: float
    tagged: int


@dataclass(frozen=True, slots=True)
class Track:
    """A recording in a library; its fingerprints are the rows ``first .. first + count - 1``.

    ``path`` is relative to the library where the file is near it (see ``Library.add``).
    ``content_hash`` is the SHA-256 of the file. ``licence`` and ``source`` (attribution: a URL or a
    text) come from its tags and may be empty, as may ``artist``, ``album`` and what follows
    ``count``. ``title_from_name``: its tags have no title, so it is the file's name.
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
    year: str = ""
    isrc: str = ""
    musicbrainz_recording: str = ""
    musicbrainz_release: str = ""
    musicbrainz_artist: str = ""
    title_from_name: bool = False

    def identifiers(self) -> dict[str, str]:
        """Year, ISRC and MusicBrainz ids, empty where unknown: for JSON and CSV."""
        return {name: getattr(self, name) for name in Details._fields if name != "title_from_name"}


class Details(NamedTuple):
    """The last fields of a :class:`Track`, which older libraries do not have."""

    year: str = ""
    isrc: str = ""
    musicbrainz_recording: str = ""
    musicbrainz_release: str = ""
    musicbrainz_artist: str = ""
    title_from_name: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A file that holds a track; it counts as unchanged while ``size`` and ``mtime_ns`` match."""

    path: str
    track: int
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Meta:
    """Facts about a library: the network it was made with, and its state."""

    library_id: str
    model_id: str
    dim: int
    hop_s: float
    window_s: float
    factory: str | None  # of the index; None: chosen by size
    generation: int  # how often the rows were renumbered
    rows: int  # in the file of fingerprints, including dead ones
    removals: int  # how many changes left dead rows


@dataclass(frozen=True)
class Recording:
    """What is stored about a new recording."""

    content_hash: str
    duration_s: float
    tags: Tags
    count: int  # of its fingerprints, which follow the last committed row
    crc32: int  # of the bytes of its fingerprints


def new_meta(model_id: str, dim: int, hop_s: float, window_s: float, factory: str | None) -> Meta:
    """The facts of a new, empty library."""
    return Meta(uuid.uuid4().hex, model_id, dim, hop_s, window_s, factory, 0, 0, 0)


class _Made(Protocol):
    """A library, as far as its network is concerned."""

    @property
    def location(self) -> str: ...
    @property
    def model_id(self) -> str: ...


def check_model(library: _Made, model_id: str, network: object) -> None:
    """Raise LibraryError unless a library's fingerprints are those of the network ``model_id``.

    ``network`` is the file of the library's own, if it is known.
    """
    if model_id != library.model_id:
        known = f" ({network})" if network else ""
        raise LibraryError(
            f"the library {library.location} was made with network {library.model_id}{known}, not "
            f"{model_id}; their fingerprints cannot be compared: use that network, or index "
            "the music again into a new library"
        )


def check_query(library: _Made, network: Network) -> None:
    """Raise LibraryError if a network, that of the library, is not meant for queries."""
    if network.imitates:
        raise LibraryError(
            "this network is distilled from another one for clean music, to build libraries; "
            f"it does not hear through noise: identify clips with that one ({library.model_id})"
        )
