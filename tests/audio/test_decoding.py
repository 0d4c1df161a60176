"""Bad, damaged and malicious files: clear errors, and no other file is opened."""

import logging
import os
import socket
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile

from grafprint import audio
from grafprint.audio import AudioError
from tests.audio_files import best_lag, music, write, write_pictures

RATE = audio.SAMPLE_RATE


def bad_file(path: Path) -> str:
    """Make the file that the name describes; returns what its error must say."""
    match path.name:
        case "missing.wav":
            return "no such file"
        case "folder.wav":
            path.mkdir()
            return "folder"
        case "empty.mp3":
            path.touch()
            return "empty"
        case "text.mp3":
            path.write_text("These are the words of a song.\n" * 200, encoding="utf-8")
            return "not audio"
        case "noise.mp3":
            path.write_bytes(np.random.default_rng(0).bytes(50_000))
            return "not audio"
        case "picture.png":
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
            return "no audio itself|not audio"
        case "no samples.wav":
            wavfile.write(path, RATE, np.empty(0, np.int16))
            return "no audio samples"
        case "nan.wav":
            wavfile.write(path, RATE, np.array([0, np.nan, 0] * 1000, np.float32))
            return "NaN or infinite"
        case "inf.wav":
            wavfile.write(path, RATE, np.array([0, np.inf, 0] * 1000, np.float32))
            return "NaN or infinite"
        case "absurd rate.wav" | "absurd channels.wav":
            wavfile.write(path, RATE, np.zeros(RATE, np.int16))
            header = bytearray(path.read_bytes())
            if "rate" in path.name:
                header[24:28] = (2_000_000_000).to_bytes(4, "little")
            else:
                header[22:24] = (200).to_bytes(2, "little")
            path.write_bytes(header)
            return r"header claims .* channels at|no sound track"
        case "cut off.m4a":  # its index is at the end
            write(path, music(2, 44_100), 44_100, "aac")
            path.write_bytes(path.read_bytes()[:-2_000])
            return "cut off"
        case "scrambled.m4a":  # a valid header, then nothing that decodes
            write(path, music(2, 44_100), 44_100, "aac")
            content = bytearray(path.read_bytes())
            begin = content.index(b"mdat") + 4
            end = content.index(b"moov") - 4
            content[begin:end] = b"\xff" * (end - begin)
            path.write_bytes(content)
            return "nothing in it decodes"
        case "picture only.mp4":
            with av.open(str(path), "w") as container:
                write_pictures(container, 3)
            return "no sound track"
    raise AssertionError(path)


@pytest.mark.parametrize(
    "name",
    [
        "missing.wav",
        "folder.wav",
        "empty.mp3",
        "text.mp3",
        "noise.mp3",
        "picture.png",
        "no samples.wav",
        "nan.wav",
        "inf.wav",
        "absurd rate.wav",
        "absurd channels.wav",
        "cut off.m4a",
        "scrambled.m4a",
        "picture only.mp4",
    ],
)
def test_errors_name_the_bad_file_and_the_reason(tmp_path, capfd, name):
    path = tmp_path / name
    reason = bad_file(path)
    with pytest.raises(AudioError, match=reason) as caught:
        audio.load(path)
    assert repr(str(path)) in str(caught.value)
    assert "; " in str(caught.value)  # ...and what to do
    assert capfd.readouterr().err == ""


def test_a_file_without_read_permission(tmp_path, monkeypatch):
    """Simulated, since root may read every file."""
    path = write(tmp_path / "secret.wav", music(1, RATE), RATE, "pcm_s16le")

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match="Permission denied; check its permissions"):
        audio.load(path)


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="pipe"):
        audio.load(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.wav", "pcm_f32le")]
)
def test_a_truncated_file_gives_what_is_there(tmp_path, caplog, name, codec):
    path = write(tmp_path / name, music(8, 48_000), 48_000, codec)
    whole = audio.load(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING, "grafprint"):
        half = audio.load(path)
    assert len(half) == pytest.approx(len(whole) / 2, rel=0.15)
    np.testing.assert_allclose(half[:RATE], whole[:RATE], atol=1e-3)
    assert f"{path}: " in caplog.text
    assert "cut off or damaged" in caplog.text


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.m4a", "aac")]
)
def test_damage_in_the_middle_is_skipped(tmp_path, caplog, capfd, name, codec):
    path = write(tmp_path / name, music(8, 48_000), 48_000, codec)
    whole = audio.load(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1_000] = np.random.default_rng(0).bytes(1_000)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING, "grafprint"):
        decoded = audio.load(path)
    assert 5 * RATE < len(decoded) <= len(whole)
    for part in (slice(0, 2 * RATE), slice(-2 * RATE, None)):  # before and after the damage
        assert best_lag(decoded[part], whole[part])[1] > 0.99
    assert "damaged" in caplog.text
    assert capfd.readouterr().err == ""


def test_a_dsd_file_is_decoded(tmp_path):
    """DSF, as ripped from SACDs: one bit a sample, blocks of 4096 bytes."""
    bits = 64 * 44_100
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(bits) / bits)
    data, state = np.zeros(bits, np.uint8), 0.0
    for n, value in enumerate(wanted):  # a delta-sigma modulator of first order
        data[n] = state + value > 0
        state += value - (1 if data[n] else -1)
    packed = np.packbits(data, bitorder="little")
    packed = np.pad(packed, (0, -len(packed) % 4096))
    header = struct.pack("<4sQQQ", b"DSD ", 28, 28 + 52 + 12 + len(packed), 0)
    header += struct.pack("<4sQIIIIIIQII", b"fmt ", 52, 1, 0, 1, 1, bits, 1, bits, 4096, 0)
    header += struct.pack("<4sQ", b"data", 12 + len(packed))
    path = tmp_path / "a.dsf"
    path.write_bytes(header + packed.tobytes())
    heard = audio.load(path)
    assert len(heard) == pytest.approx(RATE, rel=0.01)
    assert np.abs(heard[1000:-1000]).max() > 0.1


@pytest.mark.parametrize("name", ["a.mod", "a.sid", "noext"])
def test_unsupported_formats_are_not_called_playlists(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(AudioError, match="not audio") as caught:
        audio.load(tmp_path / name)
    assert "playlist" not in str(caught.value)


# Only the named local file is opened ----------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/a.mp3", "concat:a.wav|b.wav", "file:a.wav", "lavfi:sine", "pipe:0"],
)
def test_urls_are_treated_as_missing_files(tmp_path, monkeypatch, address):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, music(1, RATE), RATE, "pcm_s16le")
    with pytest.raises(AudioError, match="no such file"):
        audio.load(address)


@pytest.mark.parametrize("ending", [".mp3", ".wav", ""])
@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile secret.wav\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
    ],
    ids=["concat", "hls", "sdp"],
)
def test_playlists_open_nothing(tmp_path, playlist, ending):
    write(tmp_path / "secret.wav", music(1, RATE), RATE, "pcm_s16le")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        suffix = ending or {"f": ".ffconcat", "#": ".m3u8", "v": ".sdp"}[playlist[0]]
        path = tmp_path / f"playlist{suffix}"
        path.write_text(playlist.format(url=f"http://127.0.0.1:{port}/a.ts", port=port))
        with pytest.raises(AudioError, match=r"playlist|not audio"):
            audio.load(path)
        with pytest.raises(TimeoutError):  # nobody connected
            server.accept()


def test_audio_after_a_gap_keeps_its_time(tmp_path):
    path = write(tmp_path / "whole.opus", music(12, RATE), RATE, "libopus")
    whole = audio.load(path)
    pages = [b"OggS" + page for page in path.read_bytes().split(b"OggS")[1:]]
    lost = len(pages) // 2
    (tmp_path / "gap.opus").write_bytes(b"".join(pages[:lost] + pages[lost + 1 :]))
    gapped = audio.load(tmp_path / "gap.opus")
    assert len(gapped) == pytest.approx(len(whole), abs=RATE // 100)
    assert (gapped == 0).sum() > RATE // 4
    lag, correlation = best_lag(gapped[-3 * RATE :], whole[-3 * RATE :])
    assert abs(lag) <= 0.002 * RATE and correlation > 0.99
