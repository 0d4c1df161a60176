"""Near-duplicates: other encodings, cuts and shared parts are found, other music is not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching.duplicates import find_shared
from tests.audio_files import write
from tests.libraries import excerpt, fill, walk, write_wav

RATE = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def crowded(
    fingerprinter: Fingerprinter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Library]:
    """One recording four times over, a track that has a part of it, and other music."""
    music, other = excerpt(3, 10, 20.0), excerpt(7, 10, 20.0)
    root = tmp_path_factory.mktemp("crowded")
    folder = root / "music"
    write_wav(folder / "original.wav", music)
    write(folder / "lossy.mp3", music, RATE, "libmp3lame")
    # A cut that begins between two fingerprints, and is louder.
    write_wav(folder / "edit.wav", 1.3 * music[round(6.05 * RATE) : round(16 * RATE)])
    with_loop = other.copy()
    with_loop[5 * RATE : 12 * RATE] = music[2 * RATE : 9 * RATE]
    write_wav(folder / "loop.wav", with_loop)
    # The same, played 5 % fast.
    places = np.arange(0, len(music) - 1, 1.05)
    write_wav(folder / "fast.wav", np.interp(places, np.arange(len(music)), music).astype("f4"))
    write_wav(folder / "else.wav", excerpt(11, 10, 20.0))
    with Library.create(root / "library", fingerprinter) as library:
        library.add_folder(folder, fingerprinter)
        yield library


def test_the_same_music_is_found_at_the_same_speed_only(crowded: Library):
    told: list[int] = []
    found = find_shared(crowded, crowded.tracks(), on_progress=told.append)
    pairs = {frozenset((s.first.title, s.second.title)): s for s in found}
    assert told == [1, 2, 3, 4, 5, 6]
    assert {frozenset(pair) for pair in (
        ("original", "lossy"), ("original", "edit"), ("lossy", "edit"), ("original", "loop"),
        ("lossy", "loop"),
    )} <= set(pairs)  # fmt: skip
    assert not any(pair & {"fast", "else"} for pair in pairs)
    same = pairs[frozenset(("original", "lossy"))]
    assert same is found[0] and same.share > 0.95 and same.similarity > 0.9
    # start in the original, start in the other, seconds in common
    for name, begin, other_begin, seconds in (("edit", 6.05, 0.0, 9.95), ("loop", 2, 5, 7)):
        shared = pairs[frozenset(("original", name))]
        starts = {
            shared.first.title: shared.first_start_s,
            shared.second.title: shared.second_start_s,
        }
        assert starts["original"] == pytest.approx(begin, abs=0.9)
        assert starts["original"] - starts[name] == pytest.approx(begin - other_begin, abs=0.1)
        assert shared.duration_s == pytest.approx(seconds, abs=1.8)


def test_the_shortest_part_can_be_chosen(crowded: Library):
    pairs = {
        frozenset((s.first.title, s.second.title))
        for s in find_shared(crowded, crowded.tracks(), shortest_s=12)
    }
    assert pairs == {frozenset(("original", "lossy"))} | {
        pair
        for pair in pairs
        if "edit" in pair  # a shorter track must agree throughout
    }
    assert not any("loop" in pair for pair in pairs)


def test_a_track_that_repeats_itself_does_not_hide_its_twin(tmp_path: Path, library: Library):
    rng = np.random.default_rng(0)
    loop, rest = walk(rng, 40), walk(rng, 400)
    fill(library, [np.tile(loop, (30, 1)), np.concatenate([rest, np.tile(loop, (2, 1))])])
    (shared,) = find_shared(library, library.tracks())
    assert shared.total_s == pytest.approx(80 * library.hop_s, abs=1.2)
    assert shared.similarity > 0.99
