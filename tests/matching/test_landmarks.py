"""The second witness against loops over landmarks and offsets; ends of tracks; real music."""

import numpy as np
import pytest

from grafprint.audio.landmarks import BINS, EMPTY, PER_ROW, ROW_FRAMES, contrast, find_landmarks
from grafprint.matching.landmarks import ClipContrast
from tests.libraries import excerpt

RATE = 16_000


def draw(rng, rows):
    """Rows of sorted entries, some of them not full."""
    found = np.sort(rng.integers(0, ROW_FRAMES * BINS, (rows, PER_ROW)).astype(np.uint16), axis=1)
    for row, count in enumerate(rng.integers(0, PER_ROW + 1, rows)):
        found[row, count:] = EMPTY
    return found


def sum_at(landmarks, clip, start_frame):
    """The contrasts met by a clip that begins ``start_frame`` frames into the track."""
    total = 0.0
    for row, entries in enumerate(landmarks):
        for entry in entries[entries != EMPTY]:
            t = row * ROW_FRAMES + int(entry) // BINS - start_frame
            if 0 <= t < len(clip):
                total += clip[t, int(entry) % BINS]
    return total / (PER_ROW / ROW_FRAMES * len(clip))


@pytest.mark.parametrize("frames", [1, 40, 300])
def test_every_offset_equals_a_loop(frames):
    rng = np.random.default_rng(3)
    track, clip = draw(rng, 30), rng.normal(size=(frames, BINS)).astype(np.float32)
    offsets = range(30 * ROW_FRAMES + frames - 1)
    expected = [sum_at(track, clip, i - (frames - 1)) for i in offsets]
    # Contrasts are rounded to 1/16.
    atol = 0.02 if frames > 1 else 0.1
    np.testing.assert_allclose(ClipContrast(clip).lay_over(track), expected, atol=atol)


def test_long_clips_do_not_overflow():
    """Every landmark meets the largest contrast, for a minute."""
    landmarks = np.tile(np.arange(PER_ROW, dtype=np.uint16), (625, 1))
    clip = np.full((3750, BINS), 9.0, np.float32)
    assert ClipContrast(clip).lay_over(landmarks).max() == pytest.approx(4.0, rel=0.1)


def test_a_track_without_landmarks_gets_nothing():
    clip = ClipContrast(np.ones((40, BINS), np.float32))
    assert not clip.lay_over(np.full((20, PER_ROW), EMPTY)).any()


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="256"):
        ClipContrast(np.ones((40, 64), np.float32))


def test_a_buried_clip_is_found_at_its_place():
    """White noise as loud as the music."""
    tracks = [excerpt(number, 10.0, 8.0) for number in range(4)]
    found = [find_landmarks(track, 73) for track in tracks]
    rng = np.random.default_rng(1)
    for number, track in enumerate(tracks):
        part = track[2 * RATE : 5 * RATE]
        noise = rng.normal(0, part.std(), len(part)).astype(np.float32)
        clip = ClipContrast(contrast(part + noise))
        scores = [clip.lay_over(landmarks) for landmarks in found]
        assert int(np.argmax([score.max() for score in scores])) == number
        # The music repeats itself, so another place of the track may fit as well.
        middle = 2 * RATE // 256 + clip.frames - 1
        assert scores[number][middle - 1 : middle + 2].max() > 0.8 * scores[number].max()
