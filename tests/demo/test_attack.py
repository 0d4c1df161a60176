"""Hostile visitors: their uploads, requests and file names are refused, and cost little."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from benchmarks.shared.app_client import PATIENCE_S, Caller, file_of
from demo import clips
from demo.app import MAX_FILE_MB
from grafprint import audio
from tests.conftest import EXAMPLES
from tests.paths import ASSETS
from tests.servers import serving


@pytest.fixture
def caller(address: str) -> Caller:
    return Caller(address)


@pytest.fixture
def internal_server() -> Iterator[tuple[str, list[str]]]:
    """A server that only this machine should reach, and the paths requested from it."""
    requested: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write((EXAMPLES / "cafe.opus").read_bytes())

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Handler) as address:
        yield address, requested


def test_an_honest_call_succeeds(caller: Caller):
    """Otherwise the refusals below would mean nothing."""
    (path,) = caller.upload("cafe.opus", (EXAMPLES / "cafe.opus").read_bytes()).json()
    event, (answer,) = caller.call("identify", file_of(path))
    assert (event, answer["matches"][0]["title"]) == ("complete", "Musicbox")


@pytest.mark.parametrize("how", ["path", "url", "both"])
def test_the_server_fetches_nothing_from_its_own_network(
    caller: Caller, internal_server: tuple[str, list[str]], how: str
):
    origin, requested = internal_server
    url = f"{origin}/clip.opus"
    file = {
        "path": file_of(url),
        "url": file_of("clip.opus", url=url),
        "both": file_of(url, url=url),
    }[how]
    assert caller.call("identify", file)[0] == "error"
    assert requested == []


@pytest.mark.parametrize("endpoint", ["identify", "explain", "degrade", "scan"])
@pytest.mark.parametrize(
    "path",
    [
        str(ASSETS / "music" / "freecol-musicbox.opus"),
        str(EXAMPLES / ".." / "library" / "library.sqlite3"),
        "/etc/passwd",
        "../../etc/passwd",
        "file:///etc/passwd",
    ],
)
def test_files_of_the_machine_are_not_read_for_visitors(caller: Caller, endpoint: str, path: str):
    event, data = caller.call(endpoint, file_of(path))
    assert event == "error"
    assert "root:" not in json.dumps(data)


def test_an_upload_over_the_limit_is_refused(address: str):
    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
            for _ in range(MAX_FILE_MB + 8):
                yield bytes(1_000_000)
            yield b"\r\n--x--\r\n"

    try:
        answer = httpx.post(
            f"{address}gradio_api/upload",
            content=iter(Endless()),
            timeout=PATIENCE_S,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    except httpx.TransportError:  # the server closed the connection before everything was sent
        return
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "name",
    [
        "../../../escaped.wav",
        "a/../../escaped.wav",
        "\\..\\escaped.wav",
        "x" * 5000 + ".wav",
        "<img src=x onerror=alert(1)>.wav",
        "-rf.wav",
        "con\x01trol.wav",
    ],
)
def test_hostile_file_names_do_not_leave_the_upload_folder(caller: Caller, name: str):
    answer = caller.upload(name, (EXAMPLES / "cafe.opus").read_bytes())
    if answer.status_code != 200:
        assert answer.status_code < 500
        return
    (path,) = answer.json()
    folder = Path(caller.upload("plain.wav", b"plain").json()[0]).parent.parent
    assert Path(path).resolve().is_relative_to(folder)
    event, (answer,) = caller.call("identify", file_of(path))
    assert (event, answer["identified"]) == ("complete", True)


def test_only_the_first_hours_of_a_small_file_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A hum of an hour takes 300 kB; what is beyond the limit, here a minute, is not decoded."""
    place = tmp_path / "hum.flac"
    hum = np.full((1, 1 << 16), 1000, np.int16)
    with av.open(place, "w") as container:
        stream = container.add_stream("flac", rate=16_000, layout="mono")
        for _ in range(3600 * 16_000 // (1 << 16)):
            frame = av.AudioFrame.from_ndarray(hum, format="s16", layout="mono")
            frame.sample_rate = 16_000
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert place.stat().st_size < 1_000_000
    decoded = []
    stream_of = audio.stream

    def counted(*args: Any, **options: Any) -> Iterator[np.ndarray]:
        for piece in stream_of(*args, **options):
            decoded.append(len(piece))
            yield piece

    monkeypatch.setattr(audio, "stream", counted)
    monkeypatch.setattr(clips, "LONGEST_S", 60)
    assert clips.from_file(str(place)).duration_s == 30
    assert sum(decoded) == 60 * audio.SAMPLE_RATE
