"""The map of a library: similar sounds are near, it is stored, and it is never out of date."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from grafprint.explore import library_map
from grafprint.explore.library_map import MAP, Map, Placer
from grafprint.library import Library, LibraryError
from tests.libraries import DIM, Network, fill, unit, walk

TRACKS, COUNT = 6, 60


def quiet(share: float, stage: str) -> None:
    """Ignore the progress."""


def tracks(seed: int = 1) -> list[np.ndarray]:
    """Six tracks, each close to its own random vector; two seconds of the first are silent."""
    rng = np.random.default_rng(seed)
    made = [unit(walk(rng, COUNT) + walk(rng, 1)) for _ in range(TRACKS)]
    made[0][20:40] = 0
    return made


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Map]:
    """A library's folder and the map stored in it."""
    folder = tmp_path_factory.mktemp("mapped") / "library"
    with Library.create(folder, Network()) as library:
        fill(library, tracks())
        made = library_map.make(library, quiet)
        library_map.save(library, made)
    return folder, made


@pytest.fixture
def library(drawn: tuple[Path, Map], tmp_path: Path):
    """A copy of that library, writable."""
    for file in drawn[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with Library.open(tmp_path, writable=True) as library:
        yield library


def test_points_of_a_track_are_neighbours(drawn: tuple[Path, Map]):
    made = drawn[1]
    with Library.open(drawn[0]) as library:
        track = library.track_of(made.rows)
    assert set(made.rows) == set(range(TRACKS * COUNT)) - set(range(20, 40))  # without silence
    assert made.xy.min() == 0 and made.xy.max() == 1
    distance = np.linalg.norm(made.xy[:, None] - made.xy, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :5]
    assert (track[nearest] == track[:, None]).mean() > 0.95


def test_the_same_library_has_the_same_map(drawn: tuple[Path, Map], library: Library):
    again = library_map.make(library, quiet)
    assert np.array_equal(again.rows, drawn[1].rows) and np.array_equal(again.xy, drawn[1].xy)


def test_a_stored_map_is_read_back_unchanged(drawn: tuple[Path, Map], library: Library):
    read = library_map.load(library)
    assert read is not None
    assert np.array_equal(read.rows, drawn[1].rows) and np.array_equal(read.xy, drawn[1].xy)


def test_a_map_is_out_of_date_when_a_track_comes_or_goes(library: Library):
    old = library_map.load(library)
    assert old is not None and library_map.fits(library, old)
    fill(library, [tracks(2)[1]], first_number=TRACKS)
    assert library_map.load(library) is None and not library_map.fits(library, old)
    with pytest.raises(LibraryError, match="out of date"):
        Placer(library, old)
    now = library_map.make(library, quiet)
    library_map.save(library, now)
    assert library_map.load(library) is not None and len(now) == len(old) + COUNT
    library.remove(library.tracks()[-1].id)
    assert library_map.load(library) is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "words", "nothing"])
def test_a_damaged_map_is_ignored(library: Library, damage: str, caplog: pytest.LogCaptureFixture):
    path = library.path / MAP
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    broken = {"cut": data[:-99], "flipped": data, "words": b"no map" * 99, "nothing": b""}
    path.write_bytes(bytes(broken[damage]))
    assert library_map.load(library) is None
    assert "is damaged" in caplog.text


def test_a_stored_fingerprint_has_its_own_place(drawn: tuple[Path, Map]):
    folder, made = drawn
    with Library.open(folder) as library:
        placer = Placer(library, made)
        vectors = library.vectors(made.rows)
        xy, rows = placer.place(vectors)
        assert np.array_equal(rows, made.rows)
        assert np.median(np.linalg.norm(xy - made.xy, axis=1)) < 0.01
        noisy = vectors + np.random.default_rng(3).normal(0, 0.02, vectors.shape)
        xy, _ = placer.place(noisy.astype(np.float32))
    assert np.median(np.linalg.norm(xy - made.xy, axis=1)) < 0.02


def test_silence_has_no_place(drawn: tuple[Path, Map]):
    with Library.open(drawn[0]) as library:
        queries = np.stack([np.zeros(DIM, np.float32), library.vectors(np.array([5]))[0]])
        xy, rows = Placer(library, drawn[1]).place(queries)
    assert np.isnan(xy[0]).all() and np.isfinite(xy[1]).all() and list(rows) == [-1, 5]


def test_points_of_a_large_library_are_taken_evenly(library: Library):
    made = library_map.make(library, quiet, most=100)
    assert 90 <= len(made) <= 100
    counts = np.bincount(library.track_of(made.rows))[1:]
    assert (counts[1:] >= 16).all() and 9 <= counts[0] <= 12  # a third of the first is silent


def test_making_a_map_can_be_stopped_at_any_stage(library: Library):
    before = (library.path / MAP).read_bytes()
    stages: list[str] = []
    library_map.make(library, lambda share, stage: stages.append(stage))
    for wanted in dict.fromkeys(stages):

        def stop(share: float, stage: str, wanted: str = wanted) -> None:
            if stage == wanted and share < 1:
                raise InterruptedError

        with pytest.raises(InterruptedError):
            library_map.make(library, stop)
    assert (library.path / MAP).read_bytes() == before
    assert len(set(stages)) == 5
    with ThreadPoolExecutor() as other:  # no lock is left behind
        again = other.submit(library_map.make, library, quiet).result(timeout=60)
    assert library_map.fits(library, again)


def test_progress_only_grows(library: Library):
    shares: list[float] = []
    library_map.make(library, lambda share, stage: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def test_a_handful_of_fingerprints_has_no_map(tmp_path: Path):
    with Library.create(tmp_path, Network()) as small:
        fill(small, [tracks()[1][:15]])
        with pytest.raises(LibraryError, match=r"15 fingerprints with sound.*index some music"):
            library_map.make(small, quiet)


def test_a_full_disk_leaves_the_old_map(library: Library, monkeypatch: pytest.MonkeyPatch):
    path = library.path / MAP
    before = path.read_bytes()
    made = library_map.load(library)
    assert made is not None

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LibraryError, match="disk is full"):
        library_map.save(library, made)
    assert path.read_bytes() == before
    assert not list(library.path.glob("*.partial"))
