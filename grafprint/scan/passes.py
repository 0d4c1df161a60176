"""One pass through a recording, or through parts of it, at one speed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from grafprint import audio
from grafprint.errors import AudioError
from grafprint.fingerprint import Fingerprinter
from grafprint.library.add_file import shown
from grafprint.matching.collection import Collection
from grafprint.scan.config import TimelineConfig
from grafprint.scan.other_speeds import Slowing
from grafprint.scan.plays import Play
from grafprint.scan.timeline import Timeline

CHUNK_S = 30.0
Span = tuple[float, float]  # from second to second of the recording


class Pass:
    """The timeline of a recording whose music is played at ``speed`` times its own.

    Only the ``parts`` are fingerprinted; for the timeline, the rest is silent. All times are those
    of the recording.
    """

    def __init__(
        self, timeline: Timeline, speed: float = 1.0, parts: tuple[Span, ...] = ((0.0, math.inf),)
    ) -> None:
        self._timeline = timeline
        self._slowing = Slowing(speed)
        self.parts = parts
        self.silences: list[Span] = []
        self.duration_s = 0.0  # of the recording, once a pass has gone through to its end
        self._ended: list[Play] = []

    @property
    def heard_s(self) -> float:
        """Up to where in the recording it has come."""
        return self._timeline.heard_s / self._slowing.speed

    @property
    def plays(self) -> list[Play]:
        """The plays so far, open ones included."""
        return [self._on_the_clock(play) for play in (*self._ended, *self._timeline.playing)]

    def run(self, fingerprinter: Fingerprinter, path: Path) -> Iterator[None]:
        """Continue to the end; yields after about every half minute of audio.

        Raises AudioError if the recording cannot be read or is shorter than a segment.
        """
        hop_s = fingerprinter.hop_s / self._slowing.speed
        reader: _Reader | None = None
        reported_s = self.heard_s
        for start_s, end_s in self.parts:
            first = max(self._timeline.segments, int(start_s / hop_s))
            if end_s <= first * hop_s:  # done before an interruption
                continue
            self._pass_over(first - self._timeline.segments, fingerprinter.dim)
            reader = reader or _Reader(path, first * hop_s)
            pieces = self._slowing.pieces(reader.part(first * hop_s, end_s))
            for vectors in _fingerprints(fingerprinter, pieces):
                self._note_silence(vectors, fingerprinter)
                self._ended += self._timeline.push(vectors)
                if self.heard_s - reported_s >= CHUNK_S:
                    reported_s = self.heard_s
                    yield
            self.duration_s = reader.at_s
            if reader.at_s < fingerprinter.window_s:
                raise AudioError(
                    f"cannot scan {shown(path)!r}: it is {reader.at_s:.2f} s long; "
                    f"at least {fingerprinter.window_s:g} s is needed"
                )
            if end_s < math.inf:  # a play in this part does not go on to the recording's end
                self._pass_over(1, fingerprinter.dim)
        self._ended += self._timeline.finish()

    def _pass_over(self, segments: int, dim: int) -> None:
        """Push so many silent segments."""
        for size in [1000] * (segments // 1000) + [segments % 1000]:
            self._ended += self._timeline.push(np.zeros((size, dim), np.float32))

    def _on_the_clock(self, play: Play) -> Play:
        """The play by the clock of the recording."""
        speed = self._slowing.speed
        return replace(
            play,
            start_s=play.start_s / speed,
            end_s=play.end_s / speed,
            speed=play.speed * speed,
        )

    def _note_silence(self, vectors: np.ndarray, fingerprinter: Fingerprinter) -> None:
        """Add the silent segments to ``silences``, merging those that touch."""
        for number in np.flatnonzero(~vectors.any(axis=1)):
            at = self._timeline.segments + int(number)
            start_s = at * fingerprinter.hop_s / self._slowing.speed
            end_s = start_s + fingerprinter.window_s / self._slowing.speed
            if self.silences and start_s <= self.silences[-1][1]:
                start_s = self.silences.pop()[0]
            self.silences.append((start_s, end_s))

    # Interrupting -------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`resumed` needs, as plain values."""
        return {
            "parts": None if math.isinf(self.parts[-1][1]) else self.parts,
            "plays": [play.numbers() for play in self._ended],
            "silences": self.silences,
            "timeline": self._timeline.state(),
        }

    @classmethod
    def resumed(
        cls,
        library: Collection,
        state: dict[str, Any],
        speed: float = 1.0,
        config: TimelineConfig | None = None,
    ) -> Pass:
        """Resume from a :meth:`state`. ValueError if it is of another library or configuration."""
        parts = [(start_s, end_s) for start_s, end_s in state["parts"] or [(0.0, math.inf)]]
        resumed = cls(Timeline.resumed(library, state["timeline"], config), speed, tuple(parts))
        resumed._ended = [Play.of_numbers(library, numbers) for numbers in state["plays"]]
        resumed.silences = [(start_s, end_s) for start_s, end_s in state["silences"]]
        return resumed


class _Reader:
    """Reads a recording from part to part, decoding it once."""

    def __init__(self, path: Path, start_s: float) -> None:
        self._at = round(start_s * audio.SAMPLE_RATE)  # sample up to which it was read
        self._chunks = audio.stream(path, chunk_s=CHUNK_S, start_s=start_s)
        self._held = np.empty(0, np.float32)

    @property
    def at_s(self) -> float:
        """Second up to which it was read."""
        return self._at / audio.SAMPLE_RATE

    def part(self, start_s: float, end_s: float) -> Iterator[np.ndarray]:
        """The samples of a part that begins no earlier than the last one ended, in chunks."""
        begin = round(start_s * audio.SAMPLE_RATE)
        end = end_s * audio.SAMPLE_RATE
        while self._at < end:
            if not len(self._held):
                self._held = next(self._chunks, self._held)
            size = int(min(len(self._held), (begin if self._at < begin else end) - self._at))
            if not size:  # the recording ends
                return
            piece, self._held = self._held[:size], self._held[size:]
            self._at += size
            if self._at > begin:
                yield piece


def _fingerprints(
    fingerprinter: Fingerprinter, pieces: Iterator[np.ndarray]
) -> Iterator[np.ndarray]:
    """The fingerprints of audio in pieces; none if it is shorter than a segment."""
    head = np.empty(0, np.float32)
    for piece in pieces:
        head = np.concatenate([head, piece])
        if fingerprinter.count(len(head)):
            yield from fingerprinter.stream(itertools.chain([head], pieces))
            return
