"""Radio: old servers, playlists of all kinds, dead entries, and HLS."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import pairwise

import numpy as np
import pytest

from grafprint import audio
from grafprint.audio import AudioError, live_sources
from tests.audio_files import best_lag, music, write
from tests.servers import serving

RATE = audio.SAMPLE_RATE
SECONDS = 6


class Site(BaseHTTPRequestHandler):
    """Serves what ``answers`` holds: path -> type and body, in which HOST is its address."""

    answers: dict[str, tuple[str, bytes]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        if self.path not in self.answers:
            self.send_error(404)
            return
        kind, body = self.answers[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.replace(b"HOST", f"http://{self.headers['Host']}".encode()))

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def sound():
    return music(SECONDS, 44_100)


@pytest.fixture(scope="module")
def mp3(sound, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("station") / "a.mp3"
    return write(path, sound, 44_100, "libmp3lame").read_bytes()


@pytest.fixture(scope="module")
def host(sound, mp3, tmp_path_factory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("segments") / "a.ts"
    ts = write(path, sound, 44_100, "aac").read_bytes()
    cuts = [len(ts) // 188 * n // 4 * 188 for n in range(4)] + [len(ts)]
    segments = {f"/hls/{n}.ts": ("video/mp2t", ts[a:b]) for n, (a, b) in enumerate(pairwise(cuts))}
    media = "".join(f"#EXTINF:1.5,\n{n}.ts\n" for n in range(4))
    vod = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{media}#EXT-X-ENDLIST\n".encode()
    master = (
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=900000\nbig.m3u8\n"
        b"#EXT-X-STREAM-INF:BANDWIDTH=90000\nhls/vod.m3u8\n"
    )
    key = b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n0.ts\n'
    m3u, hls = "audio/x-mpegurl", "application/vnd.apple.mpegurl"
    Site.answers = segments | {
        "/live": ("audio/mpeg", mp3),
        "/text": ("text/plain", b"#EXTM3U\nHOST/live\n"),
        "/octets": (
            "application/octet-stream",
            b"[playlist]\r\nNumberOfEntries=1\r\nfile1=live\r\n",
        ),
        "/named.m3u": ("text/plain", b"live\n"),
        "/relative.m3u": (m3u, b"#EXTM3U\n#EXTINF:-1,Radio\n/live\n"),
        "/upper.m3u": (m3u, b"HTTP://%b/live\n" % b"PLACE"),
        "/nested.m3u": (m3u, b"lower.pls\n"),
        "/lower.pls": ("audio/x-scpls", b"[Playlist]\nfile2 = HOST/live\ntitle2=x\n"),
        "/dead.m3u": (m3u, b"http://127.0.0.1:9/gone\nHOST/nothing\nHOST/live\n"),
        "/x.xspf": ("application/xspf+xml", b"<playlist><location>HOST/live</location></playlist>"),
        "/x.asx": ("text/plain", b'<asx version="3"><entry><Ref href="HOST/live" /></entry></asx>'),
        "/typed": ("application/octet-stream", mp3),
        "/master.m3u8": (hls, master),
        "/hls/vod.m3u8": (hls, vod),
        "/hls/key.m3u8": (hls, key),
        "/all dead.m3u": (m3u, b"HOST/nothing\n"),
        "/loop.m3u": (m3u, b"loop2.m3u\n"),
        "/loop2.m3u": (m3u, b"loop.m3u\n"),
        "/words": ("text/plain", b"no station here" * 100),
    }
    with serving(Site) as address:
        yield address


def assert_heard(source: str, sound: np.ndarray) -> None:
    blocks, parts = live_sources.blocks(source), []
    for block in blocks:
        parts.append(block)
        if sum(map(len, parts)) >= (SECONDS - 1) * RATE:
            break
    blocks.close()
    wanted = audio.from_array(sound, 44_100)[: (SECONDS - 1) * RATE]
    lag, correlation = best_lag(np.concatenate(parts), wanted)
    assert abs(lag) < 0.1 * RATE and correlation > 0.98


@pytest.mark.parametrize(
    "path",
    ["text", "octets", "named.m3u", "relative.m3u", "nested.m3u", "lower.pls", "dead.m3u",
     "x.xspf", "x.asx", "typed", "master.m3u8", "hls/vod.m3u8"],
)  # fmt: skip
def test_a_station_is_heard_through_any_playlist(host, sound, path):
    assert_heard(f"{host}/{path}", sound)


def test_addresses_in_capitals(host, sound):
    Site.answers["/upper.m3u"] = (
        "audio/x-mpegurl", f"HTTP://{host.removeprefix('http://')}/live\n".encode()
    )  # fmt: skip
    assert_heard(f"{host}/upper.m3u", sound)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("all%20dead.m3u", "names no station|404"), ("loop.m3u", "names no station"),
     ("words", "not audio"), ("hls/key.m3u8", "encrypted")],
)  # fmt: skip
def test_what_cannot_be_heard_is_said(host, path, reason):
    with pytest.raises(AudioError, match=reason):
        next(live_sources.blocks(f"{host}/{path}"))


def test_an_old_server_that_answers_icy(mp3, sound):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                head = b"ICY 200 OK\r\nicy-name:Radio\r\ncontent-type:audio/mpeg\r\n\r\n"
                connection.sendall(head + mp3)

        thread = threading.Thread(target=answer)
        thread.start()
        assert_heard(f"http://127.0.0.1:{server.getsockname()[1]}/", sound)
        thread.join()


def test_a_local_playlist_stands_for_its_first_station_that_answers(host, sound, tmp_path):
    path = tmp_path / "radio.m3u"
    path.write_text(f"#EXTM3U\n{host}/nothing\n{host}/live\n", encoding="utf-8")
    assert_heard(str(path), sound)
    path.write_text("#EXTM3U\nsong.mp3\n", encoding="utf-8")
    with pytest.raises(AudioError, match="names no station"):
        next(live_sources.blocks(str(path)))


def test_a_live_playlist_is_followed_while_it_grows(host, sound, monkeypatch):
    """Four segments, of which the playlist has one more at every request."""
    asked = 0
    done = Site.do_GET

    def grow(handler: Site) -> None:
        nonlocal asked
        if handler.path == "/hls/live.m3u8":
            asked += 1
            first, last = max(0, asked - 3), min(4, asked)
            media = "".join(f"#EXTINF:1.5,\n{n}.ts\n" for n in range(first, last))
            head = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
            end = "#EXT-X-ENDLIST\n" if asked > 3 else ""
            Site.answers[handler.path] = ("application/x-mpegurl", (head + media + end).encode())
        done(handler)

    monkeypatch.setattr(Site, "do_GET", grow)
    assert_heard(f"{host}/hls/live.m3u8", sound)
    assert asked >= 4
