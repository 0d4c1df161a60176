"""Live audio in blocks: from a microphone, a growing file or a radio station's URL.

Blocks are mono float32 [samples] at 16 kHz, half a second each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from http.client import HTTPException
from pathlib import Path

import numpy as np

from grafprint import audio
from grafprint.audio import microphone, stations
from grafprint.audio.decoding import ByteSource
from grafprint.errors import AudioError

BLOCK_S = 0.5
_RETRIES_S = (1, 2, 4, 8, 15, 30, 60)

_log = logging.getLogger(__name__)


def blocks(source: str | None, *, idle_s: float = 10.0) -> Generator[np.ndarray, None, None]:
    """Yield the audio of ``source`` from now on.

    ``http://`` and ``https://`` URLs are radio stations (or playlists that name one), reconnected
    when they break off. A local playlist stands for the first station in it that answers. Another
    existing file is read from its beginning until it has not grown for
    ``idle_s`` seconds. Anything else is the name of a microphone; None is the default one.

    Raises AudioError if a file or station cannot be opened or is not audio, and MicrophoneError if
    a microphone cannot be used.
    """
    if source and re.match("https?://", source, re.IGNORECASE):
        return station(source)
    if source and os.path.isfile(source) and stations.is_playlist(Path(source)):
        return _first_live(stations.stations_of(Path(source)))
    if source and os.path.exists(source):
        return growing_file(Path(source), idle_s)
    return microphone.listen(device=source, block_s=BLOCK_S)


def growing_file(path: Path, idle_s: float) -> Generator[np.ndarray, None, None]:
    """Read a file that another program is still writing, in a format that allows it."""
    with path.open("rb") as file:

        def wait_and_read(size: int) -> bytes:
            waited_s = 0.0
            while not (data := file.read(size)) and waited_s < idle_s:
                time.sleep(0.1)
                waited_s += 0.1
            return data

        yield from audio.stream(ByteSource(str(path), _Bytes(wait_and_read)), chunk_s=BLOCK_S)


def station(url: str) -> Generator[np.ndarray, None, None]:
    """Play a radio station over HTTP for ever, reconnecting when it breaks off.

    Raises AudioError if the first connection fails or is not audio.
    """
    connected = False
    failures = 0
    while True:
        try:
            for block in _receive(url):
                connected, failures = True, 0
                yield block
            reason = "it ended"
        except AudioError as failure:
            if not connected:
                raise
            reason = str(failure)
        wait_s = _RETRIES_S[min(failures, len(_RETRIES_S) - 1)]
        failures += 1
        _log.warning("%s broke off (%s); reconnecting in %d s", url, reason, wait_s)
        time.sleep(wait_s)


def _first_live(urls: list[str]) -> Generator[np.ndarray, None, None]:
    """Play the first of several stations that can be played."""
    for number, url in enumerate(urls, 1):
        blocks = station(url)
        try:
            first = next(blocks)
        except AudioError as failure:
            if number == len(urls):
                raise
            _log.warning("%s", failure)
            continue
        yield first
        yield from blocks


def _receive(url: str) -> Iterator[np.ndarray]:
    with contextlib.closing(stations.connect(url)) as connection:

        def read_available(size: int) -> bytes:
            try:
                # Returns what has arrived, without waiting for all of ``size``.
                return connection.read1(size)
            except (OSError, HTTPException, AudioError) as failure:
                _log.warning("%s: %s", url, failure)
                return b""

        yield from audio.stream(ByteSource(url, _Bytes(read_available)), chunk_s=BLOCK_S)


class _Bytes:
    """A file-like object around a function; it has no ``seek``, so FFmpeg does not try to."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read
