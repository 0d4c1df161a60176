"""Read an HLS station: the segments of a playlist one after the other, for as long as it grows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urljoin

from grafprint.errors import AudioError

_PLAYLIST_BYTES, _SEGMENT_BYTES = 1_000_000, 50_000_000
_BEHIND = 3  # a live stream is joined this many segments before its end, as players do
_STALLED_S = 60.0  # a playlist that has not grown for this long has ended
_VARIANT = re.compile(r"#EXT-X-STREAM-INF:(.*)\n(?:#.*\n)*([^#\s].*)")
_AUDIO = re.compile(r'#EXT-X-MEDIA:(?=.*TYPE=AUDIO).*URI="(.*?)"')

Fetch = Callable[[str, int], bytes]  # address, most bytes


class HlsStream:
    """The bytes of all segments joined: FFmpeg reads MPEG-TS, AAC, MP3 and fragmented MP4 so.

    Raises AudioError (also later, in ``read1``) if a playlist or segment cannot be fetched, or if
    the segments are encrypted.
    """

    def __init__(self, url: str, text: str, fetch: Fetch) -> None:
        self._fetch = fetch
        text = text.replace("\r\n", "\n")
        if variant := _smallest(text):
            url = urljoin(url, variant)
            text = self._text(url)
        self._url, self._next, self._grown = url, -1, time.monotonic()
        self._waiting: list[str] = []
        self._part, self._ended, self._period_s = b"", False, 2.0
        self._map = ""
        self._take(text)
        if not self._waiting:
            raise AudioError(f"cannot listen to {url}: this HLS playlist names no segments")
        try:
            self._part = fetch(self._waiting.pop(0), _SEGMENT_BYTES)
        except AudioError as failure:
            raise AudioError(f"the HLS playlist {url} leads nowhere: {failure}") from None

    def read1(self, size: int, /) -> bytes:
        """What has arrived, at most ``size`` bytes; nothing at the end."""
        while not self._part:
            if self._waiting:
                self._part = self._fetch(self._waiting.pop(0), _SEGMENT_BYTES)
            elif self._ended or time.monotonic() - self._grown > _STALLED_S:
                return b""
            else:
                time.sleep(self._period_s)
                self._take(self._text(self._url))
        part, self._part = self._part[:size], self._part[size:]
        return part

    def close(self) -> None:
        """End it; nothing is held open between two segments."""
        self._waiting, self._part, self._ended = [], b"", True

    def _text(self, url: str) -> str:
        return self._fetch(url, _PLAYLIST_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")

    def _take(self, text: str) -> None:
        """Note the new segments of a playlist."""
        if re.search(r"#EXT-X-KEY:(?!.*METHOD=NONE)", text):
            raise AudioError(
                f"cannot listen to {self._url}: its HLS segments are encrypted; choose another"
            )
        first = _number(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text, 0)
        self._period_s = min(10.0, max(0.5, _number(r"#EXT-X-TARGETDURATION:(\d+)", text, 4) / 2))
        self._ended = "#EXT-X-ENDLIST" in text
        lines = [line.strip() for line in text.splitlines()]
        segments = [line for line in lines if line and not line.startswith("#")]
        if self._next < 0:
            begin = 0 if self._ended else max(0, len(segments) - _BEHIND)
        else:
            begin = min(len(segments), max(0, self._next - first))
        if len(segments) > begin:
            self._grown = time.monotonic()
        found = re.search(r'#EXT-X-MAP:.*URI="(.*?)"', text)
        if found and found[1] != self._map:  # the header of fragmented MP4
            self._map = found[1]
            self._waiting.append(urljoin(self._url, self._map))
        self._waiting += [urljoin(self._url, segment) for segment in segments[begin:]]
        self._next = first + len(segments)


def _smallest(text: str) -> str | None:
    """The playlist to follow, if this one names others: sound alone, or the lowest bit rate."""
    variants = _VARIANT.findall(text)
    if not variants:
        return None
    if audio := _AUDIO.search(text):
        return audio[1]
    return min(variants, key=lambda v: _number(r"BANDWIDTH=(\d+)", v[0], 0))[1].strip()


def _number(pattern: str, text: str, default: int) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else default
