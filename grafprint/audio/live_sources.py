"""Live audio in blocks: from a microphone, a growing file or a radio station's URL.

Blocks are mono float32 [samples] at 16 kHz, half a second each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

import numpy as np

from grafprint import audio
from grafprint.audio import microphone
from grafprint.audio.decoding import ByteSource
from grafprint.errors import AudioError

BLOCK_S = 0.5
_TIMEOUT_S = 15.0  # a station that sends nothing for this long is gone
_PLAYLIST_BYTES = 100_000
_RETRIES_S = (1, 2, 4, 8, 15, 30, 60)

_log = logging.getLogger(__name__)


def blocks(source: str | None, *, idle_s: float = 10.0) -> Generator[np.ndarray, None, None]:
    """Yield the audio of ``source`` from now on.

    ``http://`` and ``https://`` URLs are radio stations (or playlists that name one), reconnected
    when they break off. An existing file is read from its beginning until it has not grown for
    ``idle_s`` seconds. Anything else is the name of a microphone; None is the default one.

    Raises AudioError if a file or station cannot be opened or is not audio, and MicrophoneError if
    a microphone cannot be used.
    """
    if source and re.match("https?://", source, re.IGNORECASE):
        return station(source)
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


def _receive(url: str) -> Iterator[np.ndarray]:
    with contextlib.closing(_open(url)) as response:

        def read_available(size: int) -> bytes:
            try:
                # Returns what has arrived, without waiting for all of ``size``.
                return response.read1(size)
            except (OSError, HTTPException) as failure:
                _log.warning("%s: %s", url, failure)
                return b""

        yield from audio.stream(ByteSource(url, _Bytes(read_available)), chunk_s=BLOCK_S)


def _open(url: str, follow: bool = True) -> HTTPResponse:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "GraFPrint"})
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as failure:
        reason = f"the server answers {failure.code} {failure.reason}"
        raise AudioError(f"cannot listen to {url}: {reason}; check the address") from None
    except (OSError, HTTPException, ValueError) as failure:
        reason = str(getattr(failure, "reason", failure))
        raise AudioError(f"cannot listen to {url}: {reason}; check the address") from None
    kind = response.headers.get_content_type()
    if "mpegurl" not in kind and "scpls" not in kind:
        return response
    with response:
        text = response.read(_PLAYLIST_BYTES).decode("utf-8", "replace")
    if "#EXT-X-" in text:
        raise AudioError(f"cannot listen to {url}: it is HLS; give the URL of a plain stream")
    stations = re.findall(r"^(?:File\d+=)?(https?://\S+)", text, re.MULTILINE)
    if not (follow and stations):
        raise AudioError(f"cannot listen to {url}: it is a playlist that names no station")
    return _open(stations[0], follow=False)


class _Bytes:
    """A file-like object around a function; it has no ``seek``, so FFmpeg does not try to."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read
