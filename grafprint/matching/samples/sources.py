"""A song that can be heard twice: from a file, from memory, or from a stream that is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from os import PathLike
from types import TracebackType
from typing import IO, Self

import numpy as np

from grafprint import audio

_PIECE = 30 * audio.SAMPLE_RATE  # samples


class Song:
    """The samples of a song, in pieces; a context manager that deletes what it kept.

    A file is decoded again each time; an iterable of pieces ``[n]``, which cannot be asked again,
    is kept in a temporary file. Memory is bounded by a piece.
    """

    def __init__(
        self,
        source: str | PathLike[str] | np.ndarray | Iterable[np.ndarray],
        start_s: float = 0.0,
        duration_s: float | None = None,
    ) -> None:
        """``start_s`` and ``duration_s`` choose a part of a file; of a file only (ValueError)."""
        if (start_s or duration_s is not None) and not isinstance(source, str | PathLike):
            raise ValueError("a start and a duration are for files: cut the samples instead")
        self._source, self._part = source, (start_s, duration_s)
        self._kept: IO[bytes] | None = None
        self.samples = 0  # heard so far, of the first time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._kept is not None:
            self._kept.close()

    def first(self) -> Iterator[np.ndarray]:
        """The pieces, counted."""
        for piece in self._pieces():
            self.samples += len(piece)
            yield piece

    def again(self) -> Iterator[np.ndarray]:
        """The same pieces, after :meth:`first`."""
        if self._kept is None:
            yield from self._pieces()
            return
        self._kept.seek(0)
        while data := self._kept.read(4 * _PIECE):
            yield np.frombuffer(data, np.float32).copy()

    def _pieces(self) -> Iterator[np.ndarray]:
        if isinstance(self._source, np.ndarray):
            yield from _pieces_of(self._source)
        elif isinstance(self._source, str | PathLike):
            start_s, duration_s = self._part
            yield from audio.stream(self._source, start_s=start_s, duration_s=duration_s)
        else:
            # On the disk: an hour is 230 MB.
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115
            for piece in self._source:
                self._kept.write(np.ascontiguousarray(piece, np.float32).tobytes())
                yield from _pieces_of(piece)


def _pieces_of(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Of mono samples, pieces; anything else as it is, for who reads it to refuse."""
    samples = np.asarray(samples)
    if samples.ndim != 1:
        yield samples
        return
    for begin in range(0, max(1, len(samples)), _PIECE):
        yield samples[begin : begin + _PIECE]
