"""Libraries around the size at which search changes from exact to codes: the same answers."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale import grow
from grafprint.library import Library
from grafprint.library.index.row_index import EXACT_BELOW
from grafprint.matching import identify_many
from tests.libraries import unit
from tests.paths import ASSETS

SEGMENTS, QUERIES = 21, 60  # 3 s


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The bundled library and mixes of its tracks, just too small for an index."""
    copy = tmp_path / "library"
    shutil.copytree(ASSETS / "library", copy)
    with Library.open(copy, writable=True) as library:
        grow(library, EXACT_BELOW - 1, 0)
    return copy


def noisy_queries(library: Library) -> list[np.ndarray]:
    """Passages of random tracks, moved as far as noise at 5 dB moves them."""
    rng = np.random.default_rng(1)
    tracks = [track for track in library.tracks() if track.count > SEGMENTS]
    clips = []
    for number in rng.integers(len(tracks), size=QUERIES):
        start = tracks[number].first + int(rng.integers(tracks[number].count - SEGMENTS))
        noise = unit(rng.standard_normal((1, library.dim)))
        clips.append(unit(0.55 * library.vectors(np.arange(start, start + SEGMENTS)) + 0.8 * noise))
    return clips


def answers(library: Library, clips: list[np.ndarray]) -> list[tuple[int, float] | None]:
    """Track and time of each clip's best match."""
    found = []
    for answer in identify_many(library, clips, top_k=1):
        best = answer.best if answer else None
        found.append((best.track.id, best.start_s) if best else None)
    return found


def exact_answers(path: Path, clips: list[np.ndarray]) -> list[tuple[int, float] | None]:
    """The same by exact search, whatever the library's size."""
    with Library.open(path) as library, pytest.MonkeyPatch.context() as patched:
        patched.setattr("grafprint.library.index.row_index.EXACT_BELOW", len(library) + 1)
        assert library.exact
        return answers(library, clips)


def test_a_library_that_grows_past_the_switch_and_shrinks_again_answers_the_same(path: Path):
    index = path / "index.faiss"
    with Library.open(path) as library:
        assert library.exact and not index.exists()
        clips = noisy_queries(library)
        before = answers(library, clips)
    assert before == exact_answers(path, clips)

    with Library.open(path, writable=True) as library:
        grow(library, EXACT_BELOW + 10_000, 1)
        assert not library.exact
        within = answers(library, clips)  # before the index is saved
    assert index.exists()
    expected = exact_answers(path, clips)
    assert within == expected
    with Library.open(path) as library:
        assert answers(library, clips) == expected
        named = [answer[0] for answer in expected if answer]
        gone = next(track for track in library.tracks() if track.id in named)

    with Library.open(path, writable=True) as library:
        library.remove(gone.id)
        assert len(library) >= EXACT_BELOW and not library.exact
        found = answers(library, clips)
        assert gone.id not in [answer[0] for answer in found if answer]
    assert found == exact_answers(path, clips)

    with Library.open(path, writable=True) as library:
        while len(library) >= EXACT_BELOW:
            library.remove(library.tracks()[-1].id)
        assert library.exact
        found = answers(library, clips)
    assert not index.exists()
    assert found == exact_answers(path, clips)


def test_a_library_from_before_that_was_searched_exactly_gets_its_index(path: Path):
    """A reader makes it in memory; the next writer saves it."""
    index = path / "index.faiss"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("grafprint.library.index.row_index.EXACT_BELOW", 500_000)
        with Library.open(path, writable=True) as library:
            grow(library, EXACT_BELOW + 2000, 1)
    assert not index.exists()
    with Library.open(path) as library:
        clips = noisy_queries(library)
        found = answers(library, clips)
        assert library.tuning is not None and not index.exists()
    assert found == exact_answers(path, clips)
    with Library.open(path, writable=True):
        pass
    assert index.exists()
    with Library.open(path) as library:
        assert answers(library, clips) == found
