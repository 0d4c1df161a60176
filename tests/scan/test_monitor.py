"""Endless audio: a growing file, a station over HTTP, a microphone; and the log."""

import csv
import functools
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from grafprint import audio
from grafprint.audio import SAMPLE_RATE as RATE
from grafprint.audio import AudioError, live_sources
from grafprint.audio.sound_clock import SoundClock, now
from grafprint.cli import app
from grafprint.evaluation.mixes import Mix
from grafprint.library import Library
from grafprint.scan.monitor import watch
from tests.paths import ASSETS
from tests.servers import serving


@pytest.fixture(scope="module")
def library():
    with Library.open(ASSETS / "library") as opened:
        yield opened


@pytest.fixture(scope="module")
def show(library) -> Mix:
    mix = Mix(library)
    mix.play(library.tracks()[2], 10, 16)
    mix.play(library.tracks()[7], 0, 18)
    return mix


def encode(path: Path, samples: np.ndarray) -> Path:
    """Encode samples as MP3 or FLAC, after the file's suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame" if path.suffix == ".mp3" else "flac", rate=RATE)
        frame = av.AudioFrame.from_ndarray(
            (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def mp3(show, tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp("radio") / "show.mp3", show.samples)


def test_tracks_are_announced_and_then_reported(library, fingerprinter, show):
    blocks = np.array_split(show.samples, 68)
    events = list(watch(library, fingerprinter, iter(blocks)))
    first, second = (part.track.id for part in show.parts)
    order = [(event.kind, event.play.track.id) for event in events]
    assert sorted(order) == sorted(
        [("began", first), ("ended", first), ("began", second), ("ended", second)]
    )
    assert order.index(("began", first)) < order.index(("began", second))
    ended = [event.play for event in events if event.kind == "ended"]
    for play, part in zip(ended, show.parts, strict=True):
        assert play.start_s == pytest.approx(part.start_s, abs=0.6)
        assert play.end_s == pytest.approx(part.end_s, abs=0.6)


def test_a_track_is_announced_while_it_plays(library, fingerprinter, show):
    received = 0

    def blocks() -> Iterator[np.ndarray]:
        nonlocal received
        for block in np.array_split(show.samples, 68):
            received += len(block)
            yield block

    event = next(watch(library, fingerprinter, blocks()))
    assert event.kind == "began" and received / RATE < 9


def test_a_file_is_followed_while_it_grows(mp3, show, tmp_path):
    growing = tmp_path / "growing.mp3"
    data = mp3.read_bytes()
    growing.write_bytes(data[: len(data) // 3])

    def write() -> None:
        time.sleep(0.5)
        with growing.open("ab") as file:
            file.write(data[len(data) // 3 :])

    writer = threading.Thread(target=write)
    writer.start()
    received = np.concatenate(list(live_sources.blocks(str(growing), idle_s=1.5)))
    writer.join()
    assert len(received) / RATE == pytest.approx(show.length_s, abs=0.1)


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_a_wav_with_an_unknown_length(claimed, show, tmp_path):
    path = tmp_path / "recording.wav"
    wavfile.write(path, RATE, (show.samples[: 5 * RATE] * 32767).astype(np.int16))
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    received = np.concatenate(list(live_sources.blocks(str(path), idle_s=0.2)))
    assert len(received) == pytest.approx(5 * RATE, abs=50)


class Station(BaseHTTPRequestHandler):
    """A radio station that breaks off, its playlists, and pages that are neither."""

    data = b""
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append(self.path)
        host = f"http://{self.headers['Host']}"
        answers = {
            "/live": ("audio/mpeg", self.data),
            "/list.pls": ("audio/x-scpls", f"[playlist]\nFile1={host}/live\n".encode()),
            "/list.m3u": ("audio/x-mpegurl", f"#EXTM3U\n{host}/live\n".encode()),
            "/loop.m3u": ("audio/x-mpegurl", f"{host}/loop.m3u\n".encode()),
            "/file.m3u": ("audio/x-mpegurl", b"file:///etc/passwd\n"),
            "/hls.m3u8": ("application/vnd.apple.mpegurl", b"#EXTM3U\n#EXT-X-VERSION:3\na.ts\n"),
            "/page": ("text/html", b"<html>hello</html>" * 100),
        }
        if self.path not in answers:
            self.send_error(404)
            return
        kind, body = answers[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def host(mp3) -> Iterator[str]:
    Station.data = mp3.read_bytes()
    with serving(Station) as address:
        yield address


@pytest.mark.parametrize("path", ["live", "list.pls", "list.m3u"])
def test_a_station_is_reconnected_when_it_breaks_off(host, path, show, monkeypatch):
    monkeypatch.setattr(live_sources, "_RETRIES_S", (0.05,))
    Station.asked.clear()
    received = 0
    for block in live_sources.blocks(f"{host}/{path}"):
        received += len(block)
        if received > 1.5 * len(show.samples):
            break
    assert Station.asked.count("/live") == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("page", "not audio"),
        ("nothing", "404"),
        ("hls.m3u8", "HLS"),
        ("loop.m3u", "playlist that names no station"),
        ("file.m3u", "playlist that names no station"),
    ],
)
def test_anything_but_a_station_is_refused(host, path, reason):
    with pytest.raises(AudioError, match=reason):
        next(live_sources.blocks(f"{host}/{path}"))


def test_a_host_that_does_not_answer():
    with pytest.raises(AudioError, match="check the address"):
        next(live_sources.blocks("http://127.0.0.1:9/"))


def test_the_command_writes_a_log(mp3, show, tmp_path):
    log = tmp_path / "log.jsonl"
    arguments = ["watch", str(mp3), "--idle", "0.2", "--log", str(log)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [e["title"] for e in entries] == [part.track.title for part in show.parts]
    assert entries[0]["began"] < entries[0]["ended"] <= entries[1]["ended"]
    assert result.stdout.count("ended, after") == 2 and result.stdout.count(" on\n") == 2
    CliRunner().invoke(app, [*arguments, "--seconds", "12"])
    assert len(log.read_text().splitlines()) == 3


def test_an_interrupt_reports_what_still_plays(mp3, show, monkeypatch, tmp_path):
    def interrupted(source, idle_s, clock):
        yield from np.array_split(audio.load(mp3, duration_s=12), 24)
        raise KeyboardInterrupt

    monkeypatch.setattr(live_sources, "blocks", functools.partial(interrupted))
    result = CliRunner().invoke(app, ["watch", "--log", str(tmp_path / "log")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "log").read_text())["title"] == show.parts[0].track.title


def test_a_break_off_moves_the_times_of_what_comes_later(host, show, monkeypatch):
    monkeypatch.setattr(live_sources, "_RETRIES_S", (3,))
    clock = SoundClock()
    received = 0
    for block in live_sources.blocks(f"{host}/live", clock=clock):
        received += len(block)
        if received > 1.5 * len(show.samples):
            break
    assert (now() - clock.began(show.length_s)).total_seconds() < 2.5  # after the pause
    assert (now() - clock.began(0.0)).total_seconds() > 3  # before it


def test_a_file_is_dated_by_when_it_was_written(mp3, show, tmp_path):
    path, log, report = tmp_path / "old.mp3", tmp_path / "log", tmp_path / "plays.csv"
    shutil.copy(mp3, path)
    written = datetime.fromisoformat("2020-02-03T12:00:00+00:00")
    os.utime(path, (written.timestamp(), written.timestamp()))
    arguments = ["watch", str(path), "--idle", "0.1", "--log", str(log), "--report", str(report)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for entry, part in zip(entries, show.parts, strict=True):
        left_s = show.length_s - part.start_s
        began = datetime.fromisoformat(entry["began"])
        assert (written - began).total_seconds() == pytest.approx(left_s, abs=0.7)
    assert "2020-02-03 " in result.stdout
    CliRunner().invoke(app, arguments)
    rows = list(csv.DictReader(report.read_text().splitlines()))
    assert len(rows) == 4 and [row["title"] for row in rows[:2]] == [e["title"] for e in entries]
    assert rows[0]["artist"] == show.parts[0].track.artist and rows[0]["source"] == str(path)
    assert float(rows[0]["seconds"]) == pytest.approx(16, abs=1)
    assert rows[0]["began"] == entries[0]["began"]


def test_a_file_that_is_recorded_now_is_dated_as_now(show, tmp_path):
    path = tmp_path / "recording.wav"
    wavfile.write(path, RATE, (show.samples[: 5 * RATE] * 32767).astype(np.int16))
    clock = SoundClock()
    for _ in live_sources.blocks(str(path), idle_s=0.1, clock=clock):
        pass
    written = path.stat().st_mtime
    assert clock.ended(5.0).timestamp() == pytest.approx(written, abs=0.1)


@pytest.mark.parametrize("option", ["--log", "--report"])
def test_a_log_that_cannot_be_written_is_found_at_the_start(option, mp3, tmp_path):
    for path, reason in ((tmp_path / "none" / "x", "there is no folder"), (tmp_path, "cannot")):
        result = CliRunner().invoke(app, ["watch", str(mp3), option, str(path)])
        assert result.exit_code == 1 and reason in str(result.exception)
        assert not result.stdout


def test_what_a_file_holds_comes_in_long_blocks(show, tmp_path):
    path = tmp_path / "long.wav"
    long = np.tile(show.samples, 4)
    wavfile.write(path, RATE, (long * 32767).astype(np.int16))
    lengths = [len(block) / RATE for block in live_sources.blocks(str(path), idle_s=0.1)]
    assert sum(lengths) == pytest.approx(len(long) / RATE, abs=0.1)
    assert max(lengths) == 10 and lengths[-1] <= 0.5 and len(lengths) < sum(lengths)
