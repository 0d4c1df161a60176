"""Who answers the queries: networks and their libraries, behind one method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.shared import common
from grafprint.errors import AudioError
from grafprint.evaluation.samples import RankedSong, SampleAnswer
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify_many
from grafprint.matching.parts import EVERY_S, LOOK_S

DEPTH = 100  # songs in a ranking
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
    threshold that is higher by the number of windows.
    """

    def __init__(
        self, library: Library, fingerprinter: Fingerprinter, names: Mapping[int, str]
    ) -> None:
        self.library, self.fingerprinter, self.names = library, fingerprinter, names

    def answer(self, samples: np.ndarray, spans: Sequence[Span]) -> list[SampleAnswer]:
        fingerprints = self.fingerprinter(samples)
        return [self._span(fingerprints, span) for span in spans]

    def _span(self, fingerprints: np.ndarray, span: Span) -> SampleAnswer:
        hop_s, window_s = self.library.hop_s, self.library.window_s
        first = int(np.ceil(span[0] / hop_s - 1e-6))
        last = min(int((span[1] - window_s) / hop_s + 1e-6) + 1, len(fingerprints))
        length, every = (max(1, round(s / hop_s)) for s in (LOOK_S - window_s, EVERY_S))
        length = min(length, last - first)
        begins = sorted({*range(first, last - length + 1, every), last - length})
        answers = identify_many(
            self.library,
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
                        name, match.score, middle_s - span[0], match.start_s + half_s
                    )
        songs = sorted(best.values(), key=lambda song: -song.score)[:DEPTH]
        return SampleAnswer(tuple(songs), any(a is not None and a.identified for a in answers))
