"""Times are those of the file's own clock: holes, late beginnings, and lengths that are guesses."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from grafprint import audio
from grafprint.audio.clock import MOST_S, Clock
from tests.audio_files import best_lag, music, write, write_pictures

RATE = audio.SAMPLE_RATE
CODECS = {".mp4": "aac", ".mov": "aac", ".m4a": "aac", ".ts": "aac"}


def write_at(path: Path, parts: dict[float, float], *, video: bool = False) -> Path:
    """Write music at the given seconds: begin -> duration; nothing is written in between."""
    rate = 48_000
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS.get(path.suffix, "libopus"), rate)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        if video:
            write_pictures(container, max(b + d for b, d in parts.items()))
        for begin_s, duration_s in parts.items():
            samples = music(duration_s, rate)
            for first in range(0, len(samples), rate):
                piece = np.ascontiguousarray(samples[first : first + rate].reshape(1, -1))
                frame = av.AudioFrame.from_ndarray(piece, "flt", "mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = first + round(begin_s * rate)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def assert_at(heard, begin_s, duration_s):
    """Music as written by :func:`write_at` begins at ``begin_s``."""
    inner = round(duration_s * RATE) - RATE
    part = heard[round(begin_s * RATE) :][:inner]
    lag, correlation = best_lag(part, audio.from_array(music(duration_s, 48_000), 48_000)[:inner])
    assert abs(lag) <= 0.05 * RATE and correlation > 0.97


@pytest.mark.parametrize("suffix", [".webm", ".mka"])
def test_holes_of_any_length_become_silence(tmp_path, caplog, suffix):
    parts = {0.0: 4.0, 9.0: 4.0, 33.0: 4.0, 95.0: 3.0}
    heard = audio.load(write_at(tmp_path / f"a{suffix}", parts))
    assert len(heard) == pytest.approx(98 * RATE, abs=0.1 * RATE)
    for begin_s, duration_s in parts.items():
        assert_at(heard, begin_s, duration_s)
    for begin_s, end_s in ((5, 8), (14, 32), (38, 94)):
        assert not heard[begin_s * RATE : end_s * RATE].any()
    assert "damaged" not in caplog.text and "jump" not in caplog.text


@pytest.mark.parametrize(
    ("name", "video"),
    [("a.mp4", True), ("a.mov", True), ("a.mkv", True), ("a.ts", True), ("a.m4a", False),
     ("a.webm", False)],
)  # fmt: skip
def test_sound_that_begins_late_begins_after_silence(tmp_path, caplog, name, video):
    heard = audio.load(write_at(tmp_path / name, {7.0: 5.0}, video=video))
    assert len(heard) == pytest.approx(12 * RATE, abs=0.1 * RATE)
    assert np.abs(heard[: round(6.9 * RATE)]).max() < 1e-3
    assert_at(heard, 7.0, 5.0)
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("name", ["a.ts", "a.opus"])
def test_a_broadcast_begins_at_any_time(tmp_path, name):
    assert len(audio.load(write_at(tmp_path / name, {700.0: 3.0}))) < 3.2 * RATE


def test_slices_count_from_the_clock(tmp_path):
    path = write_at(tmp_path / "a.webm", {0.0: 3.0, 20.0: 4.0})
    whole = audio.load(path)
    for start_s in (2.5, 10.0, 21.0):
        part = audio.load(path, start_s=start_s, duration_s=2)
        np.testing.assert_array_equal(part, whole[round(start_s * RATE) :][: 2 * RATE])


def test_timestamps_that_cannot_be_true_are_left_out():
    clock = Clock(0.0, 100.0)
    assert clock.hole_s(0.05) == 0  # the beginning
    clock.advance(10)
    assert clock.hole_s(30.05) == pytest.approx(20)
    clock.advance(10)
    assert clock.hole_s(140.0) == 0  # beyond the length in the header
    assert clock.unfilled == [pytest.approx(99.95)]
    clock.advance(10)
    assert clock.hole_s(152.0) == pytest.approx(2)  # short ones are believed
    assert clock.hole_s(0.0) == 0  # begun anew
    clock.advance(10)
    assert clock.hole_s(13.0) == pytest.approx(3)
    assert Clock(0.0, None).hole_s(MOST_S + 1) == 0


def test_endless_silence_is_not_made_of_a_small_file():
    clock, filled_s = Clock(0.0, None), 0.0
    for number in range(1, 1000):
        filled_s += clock.hole_s(number * 3500.0)
        clock.advance(0.02)
    assert filled_s <= 6 * 3600


def test_a_guessed_length_raises_no_alarm(tmp_path, caplog):
    """A VBR MP3 without a header that begins softly: FFmpeg guesses twice its length."""
    loud = music(8, 44_100)
    samples = np.concatenate([np.zeros_like(loud), loud])
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as container:
        stream = container.add_stream("libmp3lame", 44_100)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        stream.codec_context.flags |= 2  # AV_CODEC_FLAG_QSCALE: a variable bit rate
        stream.codec_context.global_quality = 0
        for first in range(0, len(samples), 44_100):
            piece = np.ascontiguousarray(samples[first : first + 44_100].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, "flt", "mono")
            frame.sample_rate, frame.pts = 44_100, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    duration_s = audio.probe(path).duration_s
    assert duration_s is not None and duration_s > 18
    assert len(audio.load(path)) == pytest.approx(16 * RATE, rel=0.01)
    assert "damaged" not in caplog.text


def test_a_truncated_file_is_still_said_to_be(tmp_path, caplog):
    path = write(tmp_path / "a.webm", music(8, 48_000), 48_000, "libopus")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    audio.load(path)
    assert "cut off or damaged" in caplog.text
