"""Live audio in blocks: from a microphone, a growing file or a radio station's URL.

Blocks are mono float32 [samples] at 16 kHz, half a second each; what a file holds already comes in
longer ones, which are faster to process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import av
import numpy as np

from grafprint import audio
from grafprint.audio import decoding, microphone, stations
from grafprint.audio.decoding import ByteSource
from grafprint.audio.sound_clock import SoundClock, now
from grafprint.errors import AudioError

BLOCK_S = 0.5
_LONG_BLOCK_S = 10.0  # of what a file holds already
_READ_AHEAD = 2**16  # bytes that FFmpeg may ask for at once
_RETRIES_S = (1, 2, 4, 8, 15, 30, 60)

_log = logging.getLogger(__name__)


def blocks(
    source: str | None, *, idle_s: float = 10.0, clock: SoundClock | None = None
) -> Generator[np.ndarray, None, None]:
    """Yield the audio of ``source`` from now on; ``clock`` then knows when it was heard.

    ``http://`` and ``https://`` URLs are radio stations (or playlists that name one), reconnected
    when they break off. A local playlist stands for the first station in it that answers. Another
    existing file is read from its beginning until it has not grown for ``idle_s`` seconds; its
    times count back from when it was last written. Anything else is the name of a microphone; None
    is the default one.

    Raises AudioError if a file or station cannot be opened or is not audio, and MicrophoneError if
    a microphone cannot be used.
    """
    clock = clock or SoundClock()
    if source and re.match("https?://", source, re.IGNORECASE):
        return station(source, clock)
    if source and os.path.isfile(source) and stations.is_playlist(Path(source)):
        return _first_live(stations.stations_of(Path(source)), clock)
    if source and os.path.exists(source):
        return growing_file(Path(source), idle_s, clock)
    return _microphone(source, clock)


def growing_file(path: Path, idle_s: float, clock: SoundClock) -> Generator[np.ndarray, None, None]:
    """Read a file that another program is still writing, in a format that allows it."""
    written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    clock.mark(0.0, written - timedelta(seconds=_length_s(path)))
    with path.open("rb") as file:

        def wait_and_read(size: int) -> bytes:
            waited_s = 0.0
            while not (data := file.read(size)) and waited_s < idle_s:
                time.sleep(0.1)
                waited_s += 0.1
            return data

        held: list[np.ndarray] = []
        for block in audio.stream(ByteSource(str(path), _Bytes(wait_and_read)), chunk_s=BLOCK_S):
            held.append(block)
            # Never hold back sound while the next block has to wait for the file to grow.
            waits = os.fstat(file.fileno()).st_size - file.tell() < _READ_AHEAD
            if waits or len(held) * BLOCK_S >= _LONG_BLOCK_S:
                yield np.concatenate(held)
                held.clear()
        if held:
            yield np.concatenate(held)


def _length_s(path: Path) -> float:
    """The seconds of sound in a file so far, by its packets, undecoded; 0 if that is not known.

    The headers of files that are still being written do not tell.
    """
    try:
        with decoding.open_audio(path) as (container, source):
            ticks = sum(packet.duration or 0 for packet in container.demux(source))
            return float(ticks * source.time_base) if source.time_base else 0.0
    except (audio.AudioError, av.FFmpegError, OSError):
        return 0.0


def _microphone(device: str | None, clock: SoundClock) -> Generator[np.ndarray, None, None]:
    heard_s = lost_s = 0.0

    def on_loss(seconds: float) -> None:
        nonlocal lost_s
        lost_s += seconds

    began: datetime | None = None
    with contextlib.closing(
        microphone.listen(device=device, block_s=BLOCK_S, on_loss=on_loss)
    ) as incoming:
        for block in incoming:
            if began is None:
                began = now() - timedelta(seconds=BLOCK_S)
                clock.mark(0.0, began)
            if lost_s:
                began, lost_s = began + timedelta(seconds=lost_s), 0.0
                clock.mark(heard_s, began + timedelta(seconds=heard_s))
            heard_s += BLOCK_S
            yield block


def station(url: str, clock: SoundClock) -> Generator[np.ndarray, None, None]:
    """Play a radio station over HTTP for ever, reconnecting when it breaks off.

    Raises AudioError if the first connection fails or is not audio.
    """
    connected = False
    failures = 0
    samples = 0
    while True:
        received = False
        try:
            for block in _receive(url):
                if not received:  # the sound goes on where it is now
                    began = now() - timedelta(seconds=len(block) / audio.SAMPLE_RATE)
                    clock.mark(samples / audio.SAMPLE_RATE, began)
                connected, received, failures = True, True, 0
                samples += len(block)
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


def _first_live(urls: list[str], clock: SoundClock) -> Generator[np.ndarray, None, None]:
    """Play the first of several stations that can be played."""
    for number, url in enumerate(urls, 1):
        blocks = station(url, clock)
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
