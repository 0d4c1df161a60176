"""The second witness against loops over landmarks and offsets; ends of tracks; real music."""

import numpy as np
import pytest

from grafprint.audio.landmarks import BINS, EMPTY, PER_ROW, ROW_FRAMES, contrast, find_landmarks
from grafprint.matching.landmarks import laid_over, witness
from tests.libraries import excerpt

RATE = 16_000
FULL = PER_ROW / ROW_FRAMES


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
    return total / (FULL * len(clip))


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    return draw(rng, 30), rng.normal(size=(40, BINS)).astype(np.float32)


def test_every_offset_equals_a_loop(drawn):
    track, clip = drawn
    expected = [sum_at(track, clip, i - (len(clip) - 1)) for i in range(30 * ROW_FRAMES + 39)]
    np.testing.assert_allclose(laid_over(track, clip), expected, atol=1e-5)


def test_candidates_equal_a_loop_also_over_the_ends_of_their_track(drawn):
    store, clip = drawn
    spans = [(0, 12), (12, 13), (25, 5)]
    places = [(s, first, n) for first, n in spans for s in range(first - 8, first + n + 2)]
    expected = []
    for start, first, count in places:
        track = store[first : first + count]
        shifts = range(-ROW_FRAMES, ROW_FRAMES + 1)
        middle = (start - first) * ROW_FRAMES
        expected.append(max(sum_at(track, clip, middle + shift) for shift in shifts))
    np.testing.assert_allclose(witness(store, np.array(places).T, clip), expected, atol=1e-5)


def test_nothing_to_compare_gives_nothing(drawn):
    store, clip = drawn
    assert not laid_over(store[:0], clip).any()
    assert witness(store, np.empty((3, 0), np.int64), clip).shape == (0,)


def test_a_buried_clip_is_found_at_its_place():
    """White noise as loud as the music."""
    tracks = [excerpt(number, 10.0, 8.0) for number in range(4)]
    found = [find_landmarks(track, 73) for track in tracks]
    rng = np.random.default_rng(1)
    for number, track in enumerate(tracks):
        part = track[2 * RATE : 5 * RATE]
        noise = rng.normal(0, part.std(), len(part)).astype(np.float32)
        clip = contrast(part + noise)
        scores = [laid_over(landmarks, clip) for landmarks in found]
        assert int(np.argmax([score.max() for score in scores])) == number
        # The music repeats itself, so another place of the track may fit as well.
        middle = 2 * RATE // 256 + len(clip) - 1
        assert scores[number][middle - 1 : middle + 2].max() > 0.8 * scores[number].max()
        store = np.concatenate(found)
        places = np.array([[73 * n + 21, 73 * n, 73] for n in range(4)]).T
        assert int(witness(store, places, clip).argmax()) == number
