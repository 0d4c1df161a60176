"""Reading audio: every format, rate and channel count, slices, long files, arrays."""

import tracemalloc

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.signal import resample_poly

from grafprint import audio
from grafprint.audio import AudioError
from tests.audio_files import best_lag, music, write

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("audio")


@pytest.fixture(scope="module")
def opus(folder):
    """Thirteen seconds of music, stereo, at 48 kHz."""
    return write(folder / "thirteen seconds.opus", music(13, 48_000, 2), 48_000, "libopus")


def mean_at_16k(samples, rate_hz):
    """The expected result: the mean of the channels, resampled by SciPy."""
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
def test_every_format_is_decoded(tmp_path, name, codec, rate_hz, least_correlation):
    original = music(4, rate_hz, 2)
    path = write(tmp_path / name, original, rate_hz, codec, video=name.startswith("video"))
    wanted = mean_at_16k(original, rate_hz)
    decoded = audio.load(path)
    assert decoded.dtype == np.float32
    assert decoded.ndim == 1
    assert len(decoded) == pytest.approx(len(wanted), abs=0.05 * RATE)  # the last frame is padded
    lag, correlation = best_lag(decoded, wanted)
    assert abs(lag) <= 1
    assert correlation > least_correlation
    assert path.suffix in audio.AUDIO_SUFFIXES
    info = audio.probe(path)
    assert (info.sample_rate_hz, info.channels) == (rate_hz, 2)
    assert info.duration_s == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_every_rate_and_channel_count_is_decoded(tmp_path, rate_hz, channels):
    original = music(2, rate_hz, channels)
    decoded = audio.load(write(tmp_path / "a.flac", original, rate_hz, "flac"))
    wanted = mean_at_16k(original, rate_hz)
    assert len(decoded) == len(wanted)
    inner = slice(200, -200)  # at the edges resamplers differ
    assert np.corrcoef(decoded[inner], wanted[inner])[0, 1] > 0.999


@pytest.mark.parametrize("codec", ["pcm_s16le", "flac"])
def test_lossless_files_at_16_khz_are_exact(tmp_path, codec):
    name = "a.flac" if codec == "flac" else "a.wav"
    integers = (music(3, RATE, 2) * 32767).astype(np.int16)
    path = write(tmp_path / name, (integers / 32768).astype(np.float32), RATE, codec)
    np.testing.assert_array_equal(audio.load(path), integers.mean(axis=1) / 32768)


def test_surround_sound_is_mixed_to_the_plain_mean(tmp_path):
    original = np.zeros((RATE, 6), np.float32)
    original[:, 3] = 0.6  # the LFE channel, which FFmpeg's own down-mix drops
    path = write(tmp_path / "a.wav", original, RATE, "pcm_f32le")
    np.testing.assert_allclose(audio.load(path), 0.1, rtol=1e-6)


def test_one_channel_can_be_read_alone(tmp_path):
    both = music(2, RATE, 2)
    path = write(tmp_path / "both.flac", both, RATE, "flac")
    for channel in (0, 1):
        alone = audio.load(path, start_s=0.5, channel=channel)
        np.testing.assert_allclose(alone, both[RATE // 2 :, channel], atol=1e-4)
    mono = write(tmp_path / "mono.flac", both[:, :1], RATE, "flac")
    np.testing.assert_array_equal(audio.load(mono, channel=1), audio.load(mono))


def test_a_file_joined_from_two_rates(tmp_path):
    first = write(tmp_path / "first.ogg", music(1, 44_100), 44_100, "flac")
    second = write(tmp_path / "second.ogg", music(1, 48_000), 48_000, "flac")
    joined = tmp_path / "joined.ogg"  # chained Ogg, as internet radio sends it
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    decoded = audio.load(joined)
    assert len(decoded) == 2 * RATE
    np.testing.assert_array_equal(decoded[:RATE], audio.load(first))
    np.testing.assert_array_equal(decoded[RATE:], audio.load(second))


@pytest.mark.parametrize("name", ["ünï çødé ♪.wav", "with space.wav", "http:song.wav", "100%d.wav"])
def test_file_names(tmp_path, name):
    samples = music(1, RATE)
    plain = write(tmp_path / "plain.wav", samples, RATE, "pcm_s16le")
    renamed = plain.rename(tmp_path / name)
    assert len(audio.load(renamed)) == RATE
    assert len(audio.load(str(renamed))) == RATE


def test_the_content_counts_not_the_suffix(tmp_path):
    flac = write(tmp_path / "a.flac", music(1, RATE), RATE, "flac")
    assert audio.probe(flac.rename(tmp_path / "a.mp3")).codec == "flac"


# Chunks and slices ----------------------------------------------------------------------------


@pytest.mark.parametrize("chunk_s", [0.01, 0.7, 5, 100])
def test_chunks_add_up_to_the_whole(opus, chunk_s):
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


def test_the_error_for_a_start_after_the_end_gives_the_length(opus):
    with pytest.raises(AudioError, match=r"ends at 13\.\d+ s, before the start of 20 s"):
        audio.load(opus, start_s=20)


@pytest.mark.parametrize(
    "bad", [{"start_s": -1}, {"start_s": np.nan}, {"duration_s": 0}, {"duration_s": np.inf}]
)
def test_impossible_times(opus, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        audio.load(opus, **bad)


def test_an_hour_in_bounded_memory(tmp_path):
    """An hour at 8 kHz, silent except for its last second: 230 MB if decoded at once."""
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
    decoded = audio.from_array(np.sin(2 * np.pi * tone_hz * np.arange(rate_hz) / rate_hz), rate_hz)
    wanted = np.sin(2 * np.pi * tone_hz * np.arange(RATE) / RATE)
    assert len(decoded) == RATE
    np.testing.assert_allclose(decoded[200:-200], wanted[200:-200], atol=1e-4)


def test_tones_above_8_khz_do_not_alias():
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
    decoded = audio.from_array(samples, RATE)
    assert decoded.dtype == np.float32
    np.testing.assert_array_equal(decoded, np.array(wanted, np.float32))


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
def test_unusable_arrays_are_refused(samples, rate_hz, reason):
    with pytest.raises(AudioError, match=reason):
        audio.from_array(samples, rate_hz)


def test_silence_and_short_clips_are_accepted(tmp_path):
    silent = write(tmp_path / "silent.flac", np.zeros(RATE, np.float32), RATE, "flac")
    assert not audio.load(silent).any()
    short = write(tmp_path / "short.wav", music(0.3, 44_100, 2), 44_100, "pcm_s16le")
    assert len(audio.load(short)) == 4_800
