"""Connect to a radio station over HTTP: servers of all ages, playlists of all kinds, HLS."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from grafprint.audio.hls import HlsStream
from grafprint.errors import AudioError

_TIMEOUT_S = 15.0  # a station that sends nothing for this long is gone
_PLAYLIST_BYTES = 100_000
_DEEPEST = 4  # playlists that name playlists
_MOST_ENTRIES = 20  # tried one after the other
_ENDINGS = (".m3u", ".m3u8", ".pls", ".xspf", ".asx")
# How a playlist begins, whatever its type is said to be.
_PLAYLIST = re.compile(rb"\s*(\xef\xbb\xbf)?\s*(#ext|\[playlist\]|https?://|<asx|<\?xml)", re.I)
_PLS_ENTRY = re.compile(r"^\s*File\d+\s*=\s*(.*?)\s*$", re.I | re.M)
_XML_ENTRY = re.compile(r"<location>\s*(.*?)\s*</location>|<ref\s+href\s*=\s*\"(.*?)\"", re.I)


class Connection(Protocol):
    """The bytes of a station, as they arrive."""

    def read1(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def connect(url: str) -> Connection:
    """Connect to a station, or to the first live one that a playlist names.

    Raises AudioError if there is none.
    """
    return _connect(url, _DEEPEST)


def is_playlist(path: Path) -> bool:
    """Whether a local file is a playlist, by its name and beginning."""
    try:
        with path.open("rb") as file:
            return path.suffix.lower() in _ENDINGS or bool(_PLAYLIST.match(file.read(200)))
    except OSError:
        return False


def stations_of(path: Path) -> list[str]:
    """The addresses in a local playlist. Raises AudioError if there are none."""
    with path.open("rb") as file:
        text = file.read(_PLAYLIST_BYTES).decode("utf-8", "replace")
    found = [entry for entry in _entries(text) if _is_address(entry)]
    if not found:
        raise AudioError(
            f"cannot listen to {path}: it is a playlist that names no station; to search the files "
            "that it names, scan them"
        )
    return found


def _connect(url: str, depth: int) -> Connection:
    response = _open(url)
    if not _is_playlist_response(response, url):
        return response
    with response:
        text = response.read(_PLAYLIST_BYTES).decode("utf-8", "replace")
        base = response.geturl()
    if "#EXT-X-" in text.upper():
        return HlsStream(base, text, _fetch)
    failure = AudioError(f"cannot listen to {url}: it is a playlist that names no station")
    tried = [a for entry in _entries(text) if _is_address(a := urljoin(base, entry))]
    if depth:
        for address in tried[:_MOST_ENTRIES]:
            if address == base:
                continue
            try:
                return _connect(address, depth - 1)
            except AudioError as error:
                failure = error
    raise failure


def _entries(text: str) -> list[str]:
    """What a playlist names: PLS, XSPF, ASX, or M3U."""
    if entries := _PLS_ENTRY.findall(text):
        return [entry for entry in entries if entry]
    if entries := _XML_ENTRY.findall(text):
        return [location or reference for location, reference in entries]
    lines = (line.strip("\ufeff \t\r") for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", "[", "<"))]


def _is_address(entry: str) -> bool:
    return re.match("https?://", entry, re.IGNORECASE) is not None


def _is_playlist_response(response: HTTPResponse, url: str) -> bool:
    kind = response.headers.get_content_type()
    if any(word in kind for word in ("mpegurl", "scpls", "xspf", "x-ms-asf", "x-ms-wax")):
        return True
    if kind.startswith("audio/") or kind.startswith("video/") or kind == "text/html":
        return False
    named = url.partition("?")[0].lower().endswith(_ENDINGS)
    return named or bool(_PLAYLIST.match(response.peek(200)[:200]))


def _fetch(url: str, size: int) -> bytes:
    """The bytes at an address, at most ``size``. Raises AudioError."""
    with _open(url) as response:
        try:
            return response.read(size)
        except (OSError, HTTPException) as failure:
            raise AudioError(f"cannot listen to {url}: {failure}") from None


def _open(url: str) -> HTTPResponse:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "GraFPrint"})
        response: HTTPResponse = _OPENER.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as failure:
        reason = f"the server answers {failure.code} {failure.reason}"
        raise AudioError(f"cannot listen to {url}: {reason}; check the address") from None
    except (OSError, HTTPException, ValueError) as failure:
        reason = str(getattr(failure, "reason", failure))
        raise AudioError(f"cannot listen to {url}: {reason}; check the address") from None
    return response


class _IcyResponse(HTTPResponse):
    """Old SHOUTcast servers answer "ICY 200 OK" instead of "HTTP/1.0 200 OK"."""

    def _read_status(self) -> tuple[str, int, str]:
        if self.fp.peek(4)[:4] != b"ICY ":
            return super()._read_status()  # type: ignore[misc]
        words = self.fp.readline(1000).decode("iso-8859-1").split(None, 2)
        status = words[1] if len(words) > 1 and words[1].isdigit() else "200"
        return "HTTP/1.0", int(status), words[2].strip() if len(words) > 2 else ""


class _IcyConnection(HTTPConnection):
    response_class = _IcyResponse


class _IcySecureConnection(HTTPSConnection):
    response_class = _IcyResponse


class _IcyHandler(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_IcyConnection, request)


class _IcySecureHandler(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(_IcySecureConnection, request)


_OPENER = urllib.request.build_opener(_IcyHandler, _IcySecureHandler)
