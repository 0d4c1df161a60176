"""Who answers the queries: networks and their libraries, behind one method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.shared import common
from benchmarks.shared.caching_fingerprinter import CachingFingerprinter
from grafprint.audio import SAMPLE_RATE
from grafprint.errors import AudioError, MatchError
from grafprint.evaluation.samples import RankedSong, SampleAnswer
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify_many
from grafprint.matching.parts import EVERY_S, LOOK_S
from grafprint.matching.samples import NodeCache, SamplesFound, find_samples
from grafprint.matching.samples.search import find_candidates
from grafprint.models.rerankers import Reranker

DEPTH = 100  # songs in a ranking
_EVERY = 2  # segments of a query from one fingerprint to the next
_NODES_BYTES = 3 << 30  # for all segments of the library
Span = tuple[float, float]


class Ranker(Protocol):
    """Answers what a recording samples."""

    def answer(self, samples: np.ndarray, spans: Sequence[Span]) -> list[SampleAnswer]:
        """An answer for each of the spans, in seconds, of ``samples [n]``."""
        ...


def fill_library(
    folder: Path, fingerprinter: Fingerprinter, files: Mapping[str, Path], source: Path | None
) -> tuple[Library, dict[int, str]]:
    """The library of these files in a folder, resumed if it is there, and its tracks' names.

    Fingerprints of files that the library ``source`` has, made by the same network, are copied.
    """
    if folder.exists():
        library = Library.open(folder, writable=True, model_id=fingerprinter.model_id)
    else:
        library = Library.create(folder, fingerprinter)
    if source:
        common.take(library, fingerprinter, source, files.values(), math.inf)
    names: dict[int, str] = {}
    for number, (name, path) in enumerate(files.items(), 1):
        try:
            names.setdefault(library.add(path, fingerprinter).track.id, name)
        except AudioError as error:
            print(f"left out: {error}", flush=True)
        if number % 100 == 0:
            print(f"{folder.name}: {number} of {len(files)} files", flush=True)
    library.finish()
    return library, names


class FingerprintRanker:
    """A fingerprint network as the program uses it: windows of 5 s, each identified as a clip.

    A song's score is that of its best window. A sample is reported if a window is identified, at a
    threshold that is higher by the number of windows. Of a query every other segment is encoded:
    they overlap by nine tenths. They are kept in the folder ``memory``.
    """

    def __init__(
        self,
        library: Library,
        fingerprinter: Fingerprinter,
        names: Mapping[int, str],
        memory: Path,
    ) -> None:
        self.library, self.names = library, names
        features = fingerprinter.features
        self.hearing = CachingFingerprinter(
            fingerprinter.encoder,
            replace(features, hop_frames=_EVERY * features.hop_frames),
            fingerprinter.device,
            precision=fingerprinter.precision,
        )
        self.hearing.memory = memory

    def answer(self, samples: np.ndarray, spans: Sequence[Span]) -> list[SampleAnswer]:
        (heard,) = self.hearing.many([samples])
        fingerprints = np.zeros((_EVERY * len(heard), heard.shape[1]), np.float32)
        fingerprints[::_EVERY] = heard  # the others count as silent
        remembered = Remembered(self.library)
        return [
            self.identify(remembered, fingerprints, *self._segments(span, len(fingerprints)))
            for span in spans
        ]

    def _segments(self, span: Span, count: int) -> tuple[int, int]:
        """The first segment that is in a span, and the one after the last."""
        hop_s, window_s = self.library.hop_s, self.library.window_s
        first = math.ceil(span[0] / hop_s - 1e-6)
        return first, min(int((span[1] - window_s) / hop_s + 1e-6) + 1, count)

    def identify(
        self, library: Remembered, fingerprints: np.ndarray, first: int, last: int
    ) -> SampleAnswer:
        """The answer for the segments ``first`` to ``last`` (exclusive) of a query."""
        hop_s, window_s = self.library.hop_s, self.library.window_s
        length, every = (max(1, round(s / hop_s)) for s in (LOOK_S - window_s, EVERY_S))
        length = min(length, last - first)
        begins = sorted({*range(first, last - length + 1, every), last - length})
        answers = identify_many(
            library,
            [fingerprints[begin : begin + length] for begin in begins],
            top_k=DEPTH,
            looks=len(begins),
        )
        best: dict[str, RankedSong] = {}
        half_s = (length * hop_s + window_s) / 2
        for begin, answer in zip(begins, answers, strict=True):
            for match in answer.matches if answer else ():
                name = self.names[match.track.id]
                if name not in best or match.score > best[name].score:
                    middle_s = begin * hop_s + half_s
                    best[name] = RankedSong(
                        name, match.score, middle_s - first * hop_s, match.start_s + half_s
                    )
        songs = sorted(best.values(), key=lambda song: -song.score)[:DEPTH]
        return SampleAnswer(tuple(songs), any(a is not None and a.identified for a in answers))


class SearchRanker(FingerprintRanker):
    """The same fingerprints, by the search for samples: what this alone does, without its network.

    It has no threshold for this network, so nothing is reported.
    """

    def identify(
        self, library: Remembered, fingerprints: np.ndarray, first: int, last: int
    ) -> SampleAnswer:
        """See FingerprintRanker."""
        clip = fingerprints[first:last]
        if not clip.any():
            return SampleAnswer((), False)
        songs = []
        for candidate in find_candidates(library, clip, DEPTH):
            members = candidate.pairs.take(candidate.lines[0].members)
            times = (
                float(np.mean(numbers)) * self.library.hop_s + self.library.window_s / 2
                for numbers in (members.song, members.track)
            )
            name = self.names[candidate.track.id]
            songs.append(RankedSong(name, candidate.evidence, *times))
        return SampleAnswer(tuple(songs), False)


class Remembered:
    """A library that searches for no segment twice: windows and clips of a query share them."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._found: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def __len__(self) -> int:
        return len(self._library)

    def search(self, queries: np.ndarray, k: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See ``Library.search``; an approximate search looks up clips as a whole."""
        if not self._library.exact or not len(queries):
            return self._library.search(queries, k)
        keys = [query.tobytes() for query in queries]
        new = [n for n, key in enumerate(keys) if key not in self._found]
        new = list({keys[n]: n for n in new}.values())
        if new:
            products, rows = self._library.search(queries[new], k)
            self._found |= {keys[n]: (products[i], rows[i]) for i, n in enumerate(new)}
        both = [self._found[key] for key in keys]
        return np.stack([a for a, _ in both]), np.stack([b for _, b in both])


class _CachingStreams(CachingFingerprinter):
    """Caches what it makes of streams, too, which the search for samples listens to."""

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """See ``Fingerprinter.stream``; all of it is in memory."""
        yield from self.many([np.concatenate(list(chunks))])


class SampleRanker:
    """A network for sample identification, with or without its classifier.

    With one, the songs that it does not judge follow in the order of the search.
    """

    def __init__(
        self,
        library: Library,
        fingerprinter: Fingerprinter,
        names: Mapping[int, str],
        reranker: Reranker | None,
        memory: Path,
    ) -> None:
        self.library, self.names = library, names
        # Of a query the search hears everything, then the re-ranker: once is enough.
        self.fingerprinter = _CachingStreams(
            fingerprinter.encoder,
            fingerprinter.features,
            fingerprinter.device,
            precision=fingerprinter.precision,
            facts=fingerprinter.facts,
        )
        self.fingerprinter.memory = memory
        self.reranker, self.cache = reranker, NodeCache(_NODES_BYTES)

    def answer(self, samples: np.ndarray, spans: Sequence[Span]) -> list[SampleAnswer]:
        rate = SAMPLE_RATE
        return [self._clip(samples[round(a * rate) : round(b * rate)]) for a, b in spans]

    def _clip(self, clip: np.ndarray) -> SampleAnswer:
        try:
            coarse = find_samples(self.library, self.fingerprinter, clip, top_k=DEPTH)
            if self.reranker is None:
                return SampleAnswer(self._ranked(coarse), _reports(coarse))
            judged = find_samples(
                self.library, self.fingerprinter, clip, reranker=self.reranker, cache=self.cache
            )
        except (AudioError, MatchError):
            return SampleAnswer((), False)  # shorter than a segment, or silent
        first = self._ranked(judged)
        known = {song.song for song in first}
        rest = [song for song in self._ranked(coarse) if song.song not in known]
        # Only their order counts: the search's scores are others.
        below = [replace(song, score=-1.0 - n) for n, song in enumerate(rest)]
        return SampleAnswer((*first, *below)[:DEPTH], _reports(judged))

    def _ranked(self, found: SamplesFound) -> tuple[RankedSong, ...]:
        songs = []
        for track in found.tracks:
            region = track.best
            times = (
                (region.start_s + region.end_s) / 2,
                (region.track_start_s + region.track_end_s) / 2,
            )
            songs.append(RankedSong(self.names[track.track.id], track.score, *times))
        return tuple(songs)


def _reports(found: SamplesFound) -> bool:
    """Whether anything is named; a song that is the very recording is named as such."""
    return bool(found.found or found.same_recordings)
