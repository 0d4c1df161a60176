"""Node matrices of segments, recomputed from audio and kept within a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from grafprint.errors import AudioError
from grafprint.library.records import Track
from grafprint.matching.collection import Collection
from grafprint.models.features import stream_windows

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

CACHE_BYTES = 256 << 20  # three hours of audio by the default network
_BATCH = 64  # windows
_SAME = 0.9  # cosine similarity of a stored fingerprint with one from unchanged audio, at least


class AudioCollection(Collection, Protocol):
    """A collection that knows where the audio of its tracks is."""

    def audio_path(self, track: Track) -> Path | None:
        """The track's audio file; None if there is none any more."""
        ...


class NodeCache:
    """Nodes of segments in half precision, at most ``limit`` bytes.

    Those that were not used for the longest time make room. May be used by several threads.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit, self.bytes = limit, 0
        self._held: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Number of segments held."""
        return len(self._held)

    def get(self, key: Hashable) -> np.ndarray | None:
        """What was put there, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: Hashable, nodes: np.ndarray) -> None:
        """Keep ``nodes``, and drop others if there is no room."""
        with self._lock:
            if key in self._held:
                self.bytes -= self._held.pop(key).nbytes
            self._held[key] = nodes
            self.bytes += nodes.nbytes
            while self.bytes > self.limit:
                self.bytes -= self._held.popitem(last=False)[1].nbytes


class UnusableAudioError(Exception):
    """Why a track's segments cannot be had again, as a part of a sentence."""


def nodes_of(
    fingerprinter: Fingerprinter, pieces: Iterable[np.ndarray], segments: np.ndarray
) -> np.ndarray:
    """Nodes, float16 ``[n, N, C]``, of ``segments [n]`` (ascending) of audio in pieces.

    Listens only until the last one is complete; fewer are returned if the audio ends before.
    """
    parts = [
        fingerprinter.nodes(inputs).numpy().astype(np.float16)
        for inputs in _chosen(fingerprinter, pieces, segments)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 0, 0), np.float16)


def _chosen(
    fingerprinter: Fingerprinter, pieces: Iterable[np.ndarray], segments: np.ndarray
) -> Iterator[Tensor]:
    """Encoder inputs of the segments, in batches."""
    held: list[Tensor] = []
    first = 0
    tensors = (torch.from_numpy(np.ascontiguousarray(piece, np.float32)) for piece in pieces)
    for inputs, _ in stream_windows(tensors, fingerprinter.logmel, _BATCH):
        begin, end = np.searchsorted(segments, [first, first + len(inputs)])
        held += inputs[torch.from_numpy(segments[begin:end] - first)]
        first += len(inputs)
        done = end == len(segments)
        if held and (done or len(held) >= _BATCH):
            yield torch.stack(held)
            held = []
        if done:
            return
    if held:
        yield torch.stack(held)


class TrackNodes:
    """The nodes of a library's segments, from the cache or from the tracks' audio."""

    def __init__(
        self, library: AudioCollection, fingerprinter: Fingerprinter, cache: NodeCache
    ) -> None:
        self.library, self.fingerprinter, self.cache = library, fingerprinter, cache

    def __call__(self, track: Track, segments: np.ndarray) -> dict[int, np.ndarray]:
        """Nodes, float16 [N, C], of a track's ``segments`` (numbers, ascending, distinct).

        Raises UnusableAudioError if the audio is gone or no longer what was indexed.
        """
        # The content's hash: a track that was replaced has other nodes.
        key = (self.fingerprinter.model_id, track.content_hash)
        found = {int(n): self.cache.get((key, int(n))) for n in segments}
        missing = np.array([n for n, nodes in found.items() if nodes is None], np.int64)
        if len(missing):
            for number, nodes in zip(missing, self._listen(track, missing), strict=True):
                found[int(number)] = nodes
                # A copy: a view would keep the whole array in memory.
                self.cache.put((key, int(number)), nodes.copy())
        return {n: nodes for n, nodes in found.items() if nodes is not None}

    def _listen(self, track: Track, segments: np.ndarray) -> np.ndarray:
        from grafprint import audio

        path = self.library.audio_path(track)
        if path is None:
            raise UnusableAudioError(
                f"its audio file {track.path} is gone: put it back, or index it again"
            )
        try:
            nodes = nodes_of(self.fingerprinter, audio.stream(path), segments)
        except AudioError as error:
            raise UnusableAudioError(str(error)) from error
        if len(nodes) < len(segments) or not self._are_the_same(track, segments, nodes):
            raise UnusableAudioError(
                f"its audio file {track.path} is no longer what was indexed: index it again"
            )
        return nodes

    def _are_the_same(self, track: Track, segments: np.ndarray, nodes: np.ndarray) -> bool:
        """Whether the nodes give the fingerprints that are stored."""
        encoder = self.fingerprinter.encoder
        device = self.fingerprinter.device
        with torch.inference_mode():
            made = encoder.fingerprints_of(torch.from_numpy(nodes).float().to(device))
        stored = self.library.vectors(track.first + segments)
        heard = stored.any(axis=1)
        similar = (made.cpu().numpy() * stored).sum(axis=1)[heard]
        return not len(similar) or float(np.median(similar)) >= _SAME
