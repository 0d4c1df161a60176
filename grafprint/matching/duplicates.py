"""Recordings of a library that are the same music at the same speed, in whole or in part.

Two encodings of one recording, a radio edit and the long version, tracks that share a loop: their
fingerprints agree along a diagonal, that is, at a fixed offset. Neighbours of some segments of each
track propose offsets; along these every segment is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grafprint.library.records import Track
from grafprint.matching.collection import Collection
from grafprint.matching.identification import SAME_MUSIC

SHORTEST_S = 5.0  # of music in common; shorter tracks must agree throughout
_EVERY = 8  # segments between two that are searched for
_NEIGHBOURS, _MORE_NEIGHBOURS = 64, 512
_CLOSE = 0.6  # inner product from which a neighbour votes for an offset
_VOTES = 3  # for an offset, one hop before and after included
_SMOOTH = 7  # segments over which agreement is averaged to find where it ends
_OFFSETS = 4  # per pair of tracks that are compared in full


@dataclass(frozen=True)
class Shared:
    """Music that two tracks have in common, in seconds of each; the longest part of it.

    ``total_s`` counts all parts at the same offset. ``similarity`` is the mean inner product.
    """

    first: Track
    second: Track
    first_start_s: float
    second_start_s: float
    duration_s: float
    total_s: float
    similarity: float

    @property
    def share(self) -> float:
        """The part of the longer track that both have in common: near 1 for the same recording."""
        longer = max(self.first.duration_s, self.second.duration_s)
        return min(1.0, self.total_s / longer)

    def to_json(self) -> dict[str, Any]:
        """As plain values: tracks as number, title, artist, path and start."""
        tracks = [
            {
                "track": track.id,
                "title": track.title,
                "artist": track.artist,
                "album": track.album,
                "path": track.path,
                "duration_s": round(track.duration_s, 3),
                "start_s": round(start_s, 2),
            }
            for track, start_s in (
                (self.first, self.first_start_s),
                (self.second, self.second_start_s),
            )
        ]
        return {
            "tracks": tracks,
            "duration_s": round(self.duration_s, 2),
            "total_s": round(self.total_s, 2),
            "share": round(self.share, 3),
            "similarity": round(self.similarity, 3),
        }


def find_shared(
    library: Collection,
    tracks: list[Track],
    *,
    shortest_s: float = SHORTEST_S,
    on_progress: Callable[[int], None] | None = None,
) -> list[Shared]:
    """Pairs of ``tracks`` with at least ``shortest_s`` of the same music, most in common first.

    Each pair once, with the offset at which most agrees. ``on_progress`` gets the number of tracks
    searched for. Raises LibraryError if fingerprints are damaged.
    """
    votes: dict[tuple[int, int], Counter[int]] = {}
    known = {track.id: track for track in tracks}
    for number, track in enumerate(tracks):
        library.require_intact(track)
        _vote(library, track, votes)
        if on_progress:
            on_progress(number + 1)
    found = []
    for (first, second), counts in votes.items():
        if first not in known or second not in known:
            continue
        offsets = sorted(counts, key=lambda o: -_around(counts, o))[:_OFFSETS]
        parts = [
            _compare(library, known[first], known[second], offset, shortest_s)
            for offset in offsets
            if _around(counts, offset) >= _VOTES
        ]
        if agreeing := [part for part in parts if part]:
            found.append(max(agreeing, key=lambda part: part.total_s))
    return sorted(found, key=lambda shared: -shared.share)


def _around(counts: Counter[int], offset: int) -> int:
    return counts[offset - 1] + counts[offset] + counts[offset + 1]


def _vote(library: Collection, track: Track, votes: dict[tuple[int, int], Counter[int]]) -> None:
    """Count the offsets at which segments of a track meet their neighbours in other tracks.

    The offset of a pair is a position in the second track less that in the first one; the first is
    the one with the lower number.
    """
    positions = np.arange(0, track.count, _EVERY)
    queries = library.vectors(track.first + positions)
    sounding = queries.any(axis=1)
    positions, queries = positions[sounding], queries[sounding]
    for neighbours in (_NEIGHBOURS, _MORE_NEIGHBOURS):
        if not len(queries):
            return
        products, rows = library.search(queries, neighbours)
        ids, firsts, _ = library.spans(rows)
        close = (ids >= 0) & (ids != track.id) & (products >= _CLOSE)
        at = np.broadcast_to(positions[:, None], rows.shape)[close]
        others, met = ids[close], (rows - firsts)[close]
        for other, offset in zip(others.tolist(), (met - at).tolist(), strict=True):
            low = track.id < other
            pair = (track.id, other) if low else (other, track.id)
            votes.setdefault(pair, Counter())[offset if low else -offset] += 1
        # A track that repeats itself may be all of its own neighbours.
        own = (ids == track.id).all(axis=1)
        positions, queries = positions[own], queries[own]


def _compare(
    library: Collection, first: Track, second: Track, offset: int, shortest_s: float
) -> Shared | None:
    """Where two tracks agree, one hop to either side of an offset allowed; None if nowhere."""
    width = max(1, 1 + round((shortest_s - library.window_s) / library.hop_s))
    width = min(width, first.count, second.count)
    begin, end = max(0, -offset), min(first.count, second.count - offset)
    if end - begin < width:
        return None
    positions = np.arange(begin, end)
    own = library.vectors(first.first + positions)
    best, chosen = np.full(len(positions) - width + 1, -1.0), None
    for shift in (-1, 0, 1):
        met = np.clip(positions + offset + shift, 0, second.count - 1)
        others = library.vectors(second.first + met)
        sounding = own.any(axis=1) & others.any(axis=1)
        products = np.einsum("nd,nd->n", own, others)
        sums, counts = _running(products, width), _running(sounding.astype(float), width)
        means = np.where(counts >= width / 2, sums / np.maximum(counts, 1), 0.0)
        if chosen is None or means.max() > best.max():
            best, chosen = means, (shift, products)
    agreeing = np.zeros(len(positions), bool)
    for start in np.flatnonzero(best >= SAME_MUSIC):
        agreeing[start : start + width] = True
    if chosen is None or not agreeing.any():
        return None
    shift, products = chosen
    # A window may reach past what is shared.
    smooth = np.convolve(products, np.full(_SMOOTH, 1 / _SMOOTH), "same")
    agreeing &= smooth >= _CLOSE
    edges = np.flatnonzero(np.diff(np.concatenate([[0], agreeing.astype(int), [0]])))
    parts = edges.reshape(-1, 2)
    if not len(parts):
        return None
    start, stop = parts[np.argmax(parts[:, 1] - parts[:, 0])]
    lengths = (parts[:, 1] - parts[:, 0] - 1) * library.hop_s + library.window_s
    return Shared(
        first,
        second,
        float(positions[start] * library.hop_s),
        float((positions[start] + offset + shift) * library.hop_s),
        float(lengths.max()),
        float(lengths.sum()),
        float(products[start:stop].mean()),
    )


def _running(values: np.ndarray, width: int) -> np.ndarray:
    """Sums of ``width`` consecutive values: [n - width + 1]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(sums[width:] - sums[:-width])
