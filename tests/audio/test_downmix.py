"""Mixing channels down: the mean, unless it cancels the sound."""

import numpy as np
import pytest

from grafprint import audio
from grafprint.audio.downmix import Downmix
from tests.audio_files import best_lag, music, write

RATE = audio.SAMPLE_RATE


def opposite(duration_s, rate_hz, gain=-1.0):
    one = music(duration_s, rate_hz)
    return np.concatenate([one, gain * one], axis=1)


@pytest.mark.parametrize(
    ("name", "codec", "least"), [("a.flac", "flac", 0.999), ("a.m4a", "aac", 0.99)]
)
@pytest.mark.parametrize("gain", [-1.0, -0.95])
def test_opposite_channels_are_heard(tmp_path, name, codec, least, gain):
    path = write(tmp_path / name, opposite(5, 44_100, gain), 44_100, codec)
    heard, wanted = audio.load(path), audio.from_array(music(5, 44_100), 44_100)
    lag, correlation = best_lag(heard, wanted)
    assert abs(lag) <= 1 and correlation > least
    assert np.std(heard) == pytest.approx(np.std(wanted), rel=0.05)


def test_opposite_channels_of_an_array_are_heard():
    wanted = audio.from_array(music(3, 44_100), 44_100)
    heard = audio.from_array(opposite(3, 44_100), 44_100)
    np.testing.assert_allclose(heard, wanted, atol=1e-6)


def test_of_many_channels_the_opposed_ones_are_turned(tmp_path):
    samples = np.zeros((2 * RATE, 8), np.float32)
    samples[:, 2:4] = opposite(2, RATE)
    path = write(tmp_path / "a.flac", samples, RATE, "flac")
    np.testing.assert_allclose(audio.load(path), samples[:, 2] / 4, atol=1e-4)


def test_ordinary_music_is_the_plain_mean_bit_for_bit():
    for samples in (
        music(4, RATE, 2),
        music(4, RATE, 6),
        opposite(4, RATE, -0.6),  # wide, but something is left
        np.pad(music(2, RATE), ((0, 0), (0, 63))),  # one channel of 64
        1e-5 * opposite(2, RATE),  # noise at the limit of 16 bits
    ):
        np.testing.assert_array_equal(Downmix(RATE).push(samples), samples.mean(axis=1))


def test_a_short_opposite_moment_stays_the_mean():
    samples = np.concatenate([music(1, RATE, 2), opposite(0.05, RATE), music(1, RATE, 2)])
    np.testing.assert_array_equal(Downmix(RATE).push(samples), samples.mean(axis=1))


def test_the_mix_changes_with_the_music(tmp_path):
    parts = [music(3, RATE, 2), opposite(3, RATE), music(3, RATE, 2)]
    heard = audio.load(write(tmp_path / "a.flac", np.concatenate(parts), RATE, "flac"))
    for number, part in enumerate(parts):
        inner = slice((3 * number + 1) * RATE, (3 * number + 2) * RATE)
        wanted = part[RATE : 2 * RATE, 0] if number == 1 else part[RATE : 2 * RATE].mean(axis=1)
        np.testing.assert_allclose(heard[inner], wanted, atol=1e-4)


def test_a_part_is_mixed_like_the_whole(tmp_path):
    path = write(tmp_path / "a.flac", opposite(6, 44_100), 44_100, "flac")
    whole = audio.load(path)
    np.testing.assert_array_equal(
        audio.load(path, start_s=2, duration_s=3), whole[2 * RATE : 5 * RATE]
    )
    excerpt = write(tmp_path / "b.flac", opposite(6, 44_100)[88_200:], 44_100, "flac")
    heard = audio.load(excerpt)
    np.testing.assert_allclose(heard[200:], whole[2 * RATE + 200 :][: len(heard) - 200], atol=1e-4)
