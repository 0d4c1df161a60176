"""Decoding: every format, rate and channel count, slices, long files, and what bad files say."""

import logging
import os
import socket
import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import resample_poly

from grafprint import audio
from grafprint.audio import AudioError
from tests.audio_files import best_lag, music, write, write_pictures

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audio")


@pytest.fixture(scope="module")
def opus(folder):
    """Thirteen seconds of music, stereo, at 48 kHz."""
    return write(folder / "thirteen seconds.opus", music(13, 48_000, 2), 48_000, "libopus")


def mean_at_16k(samples, rate_hz):
    """What must be heard: the mean of the channels, with SciPy's resampler for comparison."""
    common = np.gcd(RATE, rate_hz)
    return resample_poly(samples.mean(axis=1), RATE // common, rate_hz // common).astype(np.float32)


# Formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "least_correlation"),
    [
        ("pcm16.wav", "pcm_s16le", 44_100, 0.999),
        ("pcm24.wav", "pcm_s24le", 48_000, 0.999),
        ("float.wav", "pcm_f32le", 44_100, 0.999),
        ("pcm8.wav", "pcm_u8", 44_100, 0.999),
        ("a.flac", "flac", 44_100, 0.999),
        ("a.aiff", "pcm_s16be", 44_100, 0.999),
        ("a.mp3", "libmp3lame", 44_100, 0.99),
        ("vorbis.ogg", "vorbis", 44_100, 0.9),  # FFmpeg's simple encoder
        ("a.opus", "libopus", 48_000, 0.99),
        ("opus.ogg", "libopus", 48_000, 0.99),
        ("a.m4a", "aac", 44_100, 0.99),
        ("lossless.m4a", "alac", 44_100, 0.999),
        ("a.webm", "libopus", 48_000, 0.99),
        ("video.mp4", "aac", 48_000, 0.99),
        ("video.mkv", "libopus", 48_000, 0.99),
    ],
)
def test_every_format_gives_its_sound(tmp_path, name, codec, rate_hz, least_correlation):
    original = music(4, rate_hz, 2)
    path = write(tmp_path / name, original, rate_hz, codec, video=name.startswith("video"))
    wanted = mean_at_16k(original, rate_hz)
    heard = audio.load(path)
    assert heard.dtype == np.float32
    assert heard.ndim == 1
    assert len(heard) == pytest.approx(len(wanted), abs=0.05 * RATE)  # the last frame is padded
    lag, correlation = best_lag(heard, wanted)
    assert abs(lag) <= 1
    assert correlation > least_correlation
    assert path.suffix in audio.AUDIO_SUFFIXES
    info = audio.probe(path)
    assert (info.sample_rate_hz, info.channels) == (rate_hz, 2)
    assert info.duration_s == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_channel_count(tmp_path, rate_hz, channels):
    original = music(2, rate_hz, channels)
    heard = audio.load(write(tmp_path / "a.flac", original, rate_hz, "flac"))
    wanted = mean_at_16k(original, rate_hz)
    assert len(heard) == len(wanted)
    inner = slice(200, -200)  # at the edges resamplers differ
    assert np.corrcoef(heard[inner], wanted[inner])[0, 1] > 0.999


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_lossless_files_at_16_khz_are_exact(tmp_path, codec):
    name = "a.flac" if codec == "flac" else "a.wav"
    integers = (music(3, RATE, 2) * 32767).astype(np.int16)
    path = write(tmp_path / name, (integers / 32768).astype(np.float32), RATE, codec)
    np.testing.assert_array_equal(audio.load(path), integers.mean(axis=1) / 32768)


def test_surround_sound_is_the_plain_mean(tmp_path):
    original = np.zeros((RATE, 6), np.float32)
    original[:, 3] = 0.6  # the LFE channel, which FFmpeg's own down-mix drops
    path = write(tmp_path / "a.wav", original, RATE, "pcm_f32le")
    np.testing.assert_allclose(audio.load(path), 0.1, rtol=1e-6)


def test_a_file_joined_from_two_rates(tmp_path):
    first = write(tmp_path / "first.ogg", music(1, 44_100), 44_100, "flac")
    second = write(tmp_path / "second.ogg", music(1, 48_000), 48_000, "flac")
    joined = tmp_path / "joined.ogg"  # chained Ogg, as internet radio sends it
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    heard = audio.load(joined)
    assert len(heard) == 2 * RATE
    np.testing.assert_array_equal(heard[:RATE], audio.load(first))
    np.testing.assert_array_equal(heard[RATE:], audio.load(second))


@pytest.mark.parametrize("name", ["ünï çødé ♪.wav", "with space.wav", "http:song.wav", "100%d.wav"])
def test_file_names(tmp_path, name):
    samples = music(1, RATE)
    plain = write(tmp_path / "plain.wav", samples, RATE, "pcm_s16le")
    renamed = plain.rename(tmp_path / name)
    assert len(audio.load(renamed)) == RATE
    assert len(audio.load(str(renamed))) == RATE


def test_the_content_counts_not_the_ending(tmp_path):
    flac = write(tmp_path / "a.flac", music(1, RATE), RATE, "flac")
    assert audio.probe(flac.rename(tmp_path / "a.mp3")).codec == "flac"


# Chunks and slices ----------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_s", [0.01, 0.7, 5, 100])
def test_chunks_are_the_whole(opus, chunk_s):
    chunks = list(audio.stream(opus, chunk_s=chunk_s))
    whole = audio.load(opus)
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    chunk = round(chunk_s * RATE)
    assert {len(part) for part in chunks[:-1]} <= {chunk}
    assert 0 < len(chunks[-1]) <= chunk


@pytest.mark.parametrize(("start_s", "duration_s"), [(0, 1), (3.21, 5), (7.0001, None), (12, 60)])
def test_slices_are_slices_of_the_whole(opus, start_s, duration_s):
    whole = audio.load(opus)
    start = round(start_s * RATE)
    end = len(whole) if duration_s is None else start + round(duration_s * RATE)
    part = audio.load(opus, start_s=start_s, duration_s=duration_s)
    np.testing.assert_array_equal(part, whole[start:end])


def test_a_start_after_the_end_says_how_long_the_file_is(opus):
    with pytest.raises(AudioError, match=r"ends at 13\.\d+ s, before the start of 20 s"):
        audio.load(opus, start_s=20)


@pytest.mark.parametrize(
    "bad", [{"start_s": -1}, {"start_s": np.nan}, {"duration_s": 0}, {"duration_s": np.inf}]
)
def test_impossible_times(opus, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        audio.load(opus, **bad)


def test_an_hour_in_bounded_memory(tmp_path):
    """An hour at 8 kHz, silent but for its last second, would be 230 MB at once."""
    hour = np.zeros(3600 * 8_000, np.int16)
    hour[-8_000:] = 16_384 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)
    path = tmp_path / "hour.wav"
    wavfile.write(path, 8_000, hour)
    del hour
    tracemalloc.start()
    lengths = []
    for chunk in audio.stream(path, chunk_s=30):
        lengths.append(len(chunk))
        loudness = np.abs(chunk[-RATE // 2 :]).max()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert lengths == [30 * RATE] * 120
    assert peak_bytes < 20e6
    assert loudness == pytest.approx(0.5, rel=0.01)
    assert audio.probe(path).duration_s == 3600


# The resampler --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_a_tone_keeps_its_level_and_phase(rate_hz):
    tone_hz = 3_000.0
    heard = audio.from_array(np.sin(2 * np.pi * tone_hz * np.arange(rate_hz) / rate_hz), rate_hz)
    wanted = np.sin(2 * np.pi * tone_hz * np.arange(RATE) / RATE)
    assert len(heard) == RATE
    np.testing.assert_allclose(heard[200:-200], wanted[200:-200], atol=1e-4)


def test_tones_above_8_khz_do_not_fold_back():
    for tone_hz in (8_100, 9_000, 15_000, 20_000):
        tone = np.sin(2 * np.pi * tone_hz * np.arange(44_100) / 44_100)
        assert np.abs(audio.from_array(tone, 44_100)[200:-200]).max() < 1e-3


def test_pieces_leave_no_seams():
    samples = music(2, 44_100)[:, 0]
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.integers(0, len(samples), 40))
    resampler = audio.Resampler(44_100)
    pieces = [resampler.push(piece) for piece in np.split(samples, cuts)]
    whole = audio.from_array(samples, 44_100)
    np.testing.assert_array_equal(np.concatenate([*pieces, resampler.flush()]), whole)


# Arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float64), [-1, 0, 0.5]),
        (np.array([[-1, 0], [0, 0], [1, 0]], np.float32), [-0.5, 0, 0.5]),
    ],
)
def test_arrays_of_any_type(samples, wanted):
    heard = audio.from_array(samples, RATE)
    assert heard.dtype == np.float32
    np.testing.assert_array_equal(heard, np.array(wanted, np.float32))


@pytest.mark.parametrize(
    ("samples", "rate_hz", "reason"),
    [
        (np.empty(0), RATE, "empty"),
        (np.empty((0, 2)), RATE, "empty"),
        (np.zeros((2, 44_100)), 44_100, r"shape \(2, 44100\)"),
        (np.zeros((2, 2, 2)), RATE, "shape"),
        (np.array([0.0, np.nan]), RATE, "NaN or infinite"),
        (np.array([0.0, np.inf]), RATE, "NaN or infinite"),
        (np.array([1e300]), RATE, "NaN or infinite"),
        (np.array([1j]), RATE, "complex"),
        (np.array(["a"]), RATE, "integers or floats"),
        (np.zeros(100), 0, "0 Hz"),
        (np.zeros(10), 192_000, "only 10 samples"),
    ],
)
def test_arrays_that_cannot_be_used(samples, rate_hz, reason):
    with pytest.raises(AudioError, match=reason):
        audio.from_array(samples, rate_hz)


# Bad files ------------------------------------------------------------------------------------


def test_silence_and_short_clips_are_audio(tmp_path):
    silent = write(tmp_path / "silent.flac", np.zeros(RATE, np.float32), RATE, "flac")
    assert not audio.load(silent).any()
    short = write(tmp_path / "short.wav", music(0.3, 44_100, 2), 44_100, "pcm_s16le")
    assert len(audio.load(short)) == 4_800


def bad_file(path: Path) -> str:
    """Make the file that the name asks for; returns what its error must say."""
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
        case "cut off.m4a":  # its table of contents stands at the end
            write(path, music(2, 44_100), 44_100, "aac")
            path.write_bytes(path.read_bytes()[:-2_000])
            return "cut off"
        case "scrambled.m4a":  # a sound header, then nothing that decodes
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
def test_bad_files_name_file_and_reason(tmp_path, capfd, name):
    path = tmp_path / name
    reason = bad_file(path)
    with pytest.raises(AudioError, match=reason) as caught:
        audio.load(path)
    assert repr(str(path)) in str(caught.value)
    assert "; " in str(caught.value)  # ...and what to do
    assert capfd.readouterr().err == ""


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """Root may read everything, so the refusal is the system's in all but name."""
    path = write(tmp_path / "secret.wav", music(1, RATE), RATE, "pcm_s16le")

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(AudioError, match="Permission denied; check its permissions"):
        audio.load(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="pipe"):
        audio.load(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.wav", "pcm_f32le")]
)
def test_a_file_cut_off_gives_what_is_there(tmp_path, caplog, name, codec):
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
        heard = audio.load(path)
    assert 5 * RATE < len(heard) <= len(whole)
    for part in (slice(0, 2 * RATE), slice(-2 * RATE, None)):  # before and after the damage
        assert best_lag(heard[part], whole[part])[1] > 0.99
    assert "damaged" in caplog.text
    assert capfd.readouterr().err == ""


# Only the named local file is opened ----------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/a.mp3", "concat:a.wav|b.wav", "file:a.wav", "lavfi:sine", "pipe:0"],
)
def test_addresses_are_missing_files(tmp_path, monkeypatch, address):
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
        with pytest.raises(TimeoutError):  # nobody called
            server.accept()
