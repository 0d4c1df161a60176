"""Landmarks against loops over every place, in blocks as in one, and their layout in rows."""

import numpy as np
import pytest

from grafprint.audio import landmarks
from grafprint.audio.landmarks import (
    BINS,
    EMPTY,
    PER_ROW,
    ROW_FRAMES,
    LandmarkStream,
    contrast,
    find_landmarks,
)
from tests.libraries import excerpt

RATE = 16_000


@pytest.fixture(scope="module")
def music():
    return excerpt(0, 10.0, 6.0)


def test_a_tone_stands_out_where_it_sounds(music):
    noise = np.random.default_rng(0).normal(0, 0.01, 4 * RATE)
    begin, hz = 2 * RATE, 1000
    noise[begin : begin + 3200] += 0.1 * np.sin(2 * np.pi * hz * np.arange(3200) / RATE)
    places = contrast(noise.astype(np.float32))
    frame, bin = np.unravel_index(places.argmax(), places.shape)
    assert places.shape == (1 + 4 * RATE // 256, BINS)
    assert begin <= frame * 256 <= begin + 3200
    assert (bin + 16) * RATE / 1024 == hz


def test_contrast_hardly_depends_on_gain_and_colour(music):
    # Noise far above that of 16 bits, which the floor hides.
    music = music + np.random.default_rng(0).normal(0, 1e-3, len(music)).astype(np.float32)
    places = contrast(music)
    assert np.abs(contrast(music * 0.5) - places).mean() < 0.01
    coloured = np.convolve(music, [1.0, -0.5])[: len(music)].astype(np.float32)
    assert np.corrcoef(contrast(coloured).ravel(), places.ravel())[0, 1] > 0.95


def test_blocks_give_what_the_whole_gives(music, monkeypatch):
    whole = contrast(music)
    monkeypatch.setattr(landmarks, "_BLOCK", 48)
    np.testing.assert_allclose(contrast(music), whole, atol=1e-4)


def test_landmarks_equal_a_loop(music):
    rows = 51
    places = contrast(music)
    expected = np.full((rows, PER_ROW), EMPTY)
    for row in range(rows):
        peaks = []
        for frame in range(row * ROW_FRAMES, min((row + 1) * ROW_FRAMES, len(places))):
            for bin in range(BINS):
                around = places[max(0, frame - 2) : frame + 3, max(0, bin - 5) : bin + 6]
                if places[frame, bin] > 0 and places[frame, bin] == around.max():
                    peaks.append((-places[frame, bin], frame % ROW_FRAMES * BINS + bin))
        chosen = sorted(entry for _, entry in sorted(peaks)[:PER_ROW])
        expected[row, : len(chosen)] = chosen
    found = find_landmarks(music, rows)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected)
    assert (found != EMPTY).mean() > 0.5


def test_chunks_give_what_the_whole_gives(music, monkeypatch):
    monkeypatch.setattr(landmarks, "_BLOCK", 60)
    whole = find_landmarks(music, 53)
    for sizes in ([1000], [300, 50_000, 7], [16_000]):
        stream, rest = LandmarkStream(), music
        while len(rest):
            for size in sizes:
                stream.push(rest[:size])
                rest = rest[size:]
        np.testing.assert_array_equal(stream.finish(53), whole)


def test_silence_has_no_landmarks():
    assert (find_landmarks(np.zeros(2 * RATE, np.float32), 11) == EMPTY).all()


def test_rows_beyond_the_audio_are_empty(music):
    found = find_landmarks(music[:RATE], 20)
    assert found.shape == (20, PER_ROW)
    assert (found[12:] == EMPTY).all()


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="513 mono samples"):
        contrast(np.zeros(512, np.float32))
