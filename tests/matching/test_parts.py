"""Clips of which the music sought fills only a part."""

import shutil

import numpy as np
import pytest

from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify_audio
from tests.audio_files import MUSIC
from tests.libraries import excerpt
from tests.paths import ASSETS

RATE = 16_000


@pytest.fixture(scope="module")
def bundled():
    """Landmarks recognise most of these clips as a whole."""
    with Library.open(ASSETS / "library") as library:
        yield library


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The same library without landmarks."""
    path = tmp_path_factory.mktemp("plain") / "library"
    shutil.copytree(ASSETS / "library", path, ignore=shutil.ignore_patterns("*.u16"))
    with Library.open(path) as library:
        yield library


def track_number(library, number):
    """The track of a bundled file."""
    (track,) = (t for t in library.tracks() if t.path.endswith(MUSIC[number].name))
    return track.id


def hiss(seconds, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE), np.float32)


def check(library, fingerprinter, clip, number, start_s, from_s, to_s):
    """The music of a track from ``start_s`` on plays in the clip between two times."""
    answer = identify_audio(library, fingerprinter, clip)
    assert answer.identified and answer.part
    best = answer.matches[0]
    assert best.track.id == track_number(library, number)
    assert best.start_s - answer.query_start_s == pytest.approx(start_s - from_s, abs=0.1)
    end_s = answer.query_start_s + answer.query_duration_s
    assert from_s - 2.6 <= answer.query_start_s and end_s <= to_s + 2.6
    shared_s = min(end_s, to_s) - max(answer.query_start_s, from_s)
    assert shared_s >= 0.6 * answer.query_duration_s
    return answer


def test_music_before_noise(plain, fingerprinter: Fingerprinter):
    clip = np.concatenate([excerpt(3, 30, 6.0), hiss(6.5)])
    check(plain, fingerprinter, clip, 3, 30, 0, 6)


def test_music_after_other_sound(plain, fingerprinter: Fingerprinter):
    clip = np.concatenate([hiss(10), excerpt(5, 20, 6.0)])
    check(plain, fingerprinter, clip, 5, 20, 10, 16)


def test_the_longer_of_two_songs_is_named_with_all_its_windows(plain, fingerprinter: Fingerprinter):
    clip = np.concatenate([excerpt(7, 20, 9.0), excerpt(2, 25, 9.0), hiss(9)])
    answer = identify_audio(plain, fingerprinter, clip)
    songs = {7: (20.0, 0.0, 9.0), 2: (25.0, 9.0, 18.0)}
    ids = {track_number(plain, number): number for number in songs}
    number = ids[answer.matches[0].track.id]
    found = check(plain, fingerprinter, clip, number, *songs[number])
    assert found.query_duration_s > 7  # joined windows


def test_a_whole_clip_stays_whole(bundled, fingerprinter: Fingerprinter):
    answer = identify_audio(bundled, fingerprinter, excerpt(4, 10, 12.0))
    assert answer.identified and not answer.part
    assert (answer.query_start_s, answer.query_duration_s) == (0, 12)


def test_noise_has_no_part_that_is_music(bundled, fingerprinter: Fingerprinter):
    answer = identify_audio(bundled, fingerprinter, hiss(25))
    assert not answer.identified
    assert (answer.query_start_s, answer.query_duration_s) == (0, 25)


def test_landmarks_look_at_parts_too(bundled, fingerprinter: Fingerprinter):
    clip = np.concatenate([hiss(12), excerpt(5, 20, 6.0), hiss(12, seed=1)])
    answer = identify_audio(bundled, fingerprinter, clip)
    best = answer.matches[0]
    assert answer.identified and best.track.id == track_number(bundled, 5)
    assert best.start_s - answer.query_start_s == pytest.approx(20 - 12, abs=0.1)
