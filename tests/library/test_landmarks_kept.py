"""Landmarks on disk: kept with their tracks, and found later for those of older libraries."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from grafprint import audio
from grafprint.audio.landmarks import EMPTY, find_landmarks
from grafprint.library import Library, repair
from grafprint.library.folder import landmarks_name, vectors_name
from grafprint.matching import identify_file
from tests.libraries import excerpt, write_music, write_wav


def of_track(library: Library, number: int) -> np.ndarray:
    track = library.track(number)
    return library.landmarks(track.first, track.first + track.count)


def wanted(file: Path, rows: int) -> np.ndarray:
    return find_landmarks(audio.load(file), rows)


def keeps_those_of(library: Library) -> bool:
    """Whether each track has the landmarks of its file."""
    files = [(track, library.audio_path(track)) for track in library.tracks()]
    return all(
        np.array_equal(of_track(library, track.id), wanted(file, track.count))
        for track, file in files
        if file is not None
    )


def without_landmarks(library: Library) -> Path:
    """Make it a library of an older version."""
    path = library.path
    library.close()
    (path / landmarks_name(0)).unlink()
    return path


def test_a_track_is_stored_with_its_landmarks(library, folder, fingerprinter):
    library.add(folder / "track 0.wav", fingerprinter)  # alone, and with its folder in threads
    library.add_folder(folder, fingerprinter)
    assert library.has_landmarks
    assert keeps_those_of(library)
    library.close()
    with Library.open(library.path) as reader:
        assert reader.has_landmarks and keeps_those_of(reader)


def test_landmarks_follow_their_tracks(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    library.remove(1)
    write_wav(folder / "track 1.wav", excerpt(9, 40, 3.0))
    library.add_folder(folder, fingerprinter)
    library.compact()
    assert len(library.tracks()) == 3 and library.rows == len(library)
    assert keeps_those_of(library)


def test_a_repair_keeps_landmarks(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    library.close()
    file = library.path / vectors_name(0)
    file.write_bytes(file.read_bytes()[:-1])
    assert [track.title for track in repair.repair(library.path).lost] == ["track 2"]
    with Library.open(library.path, writable=True) as repaired:
        assert len(repaired.tracks()) == 2 and keeps_those_of(repaired)
        repaired.add_folder(folder, fingerprinter)
        assert len(repaired.tracks()) == 3 and keeps_those_of(repaired)


def test_damaged_landmarks_do_no_harm(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    library.close()
    file = library.path / landmarks_name(0)
    rng = np.random.default_rng(0)
    file.write_bytes(rng.integers(0, 256, file.stat().st_size, np.uint8).tobytes())
    with Library.open(library.path) as reader:
        found = identify_file(reader, fingerprinter, folder / "track 2.wav").matches[0]
        assert found.track.title == "track 2"


def test_an_older_library_works_and_gets_landmarks_when_indexed(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    clip = folder / "track 2.wav"
    with_them = identify_file(library, fingerprinter, clip).matches[0]
    assert with_them.landmarks is not None and with_them.landmarks > 0.5
    path = without_landmarks(library)
    with Library.open(path) as reader:
        assert not reader.has_landmarks
        plain = identify_file(reader, fingerprinter, clip).matches[0]
        assert plain.track.id == with_them.track.id
        assert plain.landmarks is None
        assert plain.score == with_them.score
    with Library.open(path, writable=True) as opened:
        assert not opened.has_landmarks
        report = opened.add_folder(folder, fingerprinter)
        assert len(report.unchanged) == 3
        assert opened.has_landmarks and keeps_those_of(opened)


def test_tracks_without_details_get_landmarks_too(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    path = without_landmarks(library)
    with sqlite3.connect(path / "library.sqlite3") as database:
        database.execute("DELETE FROM details")
    with Library.open(path, writable=True) as opened:
        opened.add_folder(folder, fingerprinter)
        assert opened.has_landmarks and keeps_those_of(opened)


def test_files_that_were_copied_with_an_older_library_count_too(library, folder, fingerprinter):
    """As in a checkout, where files have the time of the checkout."""
    library.add_folder(folder, fingerprinter)
    path = without_landmarks(library)
    for file in folder.iterdir():
        os.utime(file, ns=(1, 1))
    with Library.open(path, writable=True) as opened:
        assert len(opened.add_folder(folder, fingerprinter).unchanged) == 3
        assert opened.has_landmarks and keeps_those_of(opened)


def test_what_an_older_version_adds_has_none(library, folder, fingerprinter):
    """It writes fingerprints alone, behind those that have landmarks."""
    library.add_folder(folder, fingerprinter)
    kept = (library.path / landmarks_name(0)).read_bytes()
    more = write_music(folder.parent / "more", 5)
    library.add(more[4], fingerprinter)
    path = library.path
    library.close()
    (path / landmarks_name(0)).write_bytes(kept + b"half a row")
    with Library.open(path) as reader:
        assert not reader.has_landmarks  # too short: it may not be read
    with Library.open(path, writable=True) as opened:
        assert opened.has_landmarks  # of three tracks of four
        last = opened.tracks()[-1]
        assert (of_track(opened, last.id) == EMPTY).all()
        found = identify_file(opened, fingerprinter, more[4]).matches[0]
        assert found.track.id == last.id and found.landmarks == 0
        opened.add(more[4], fingerprinter)
        assert keeps_those_of(opened)


def test_a_folder_of_readers_is_not_written_to(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    path = without_landmarks(library)
    with Library.open(path) as reader:
        with pytest.raises(AssertionError):
            reader.landmarks(0, 1)
        assert not (path / landmarks_name(0)).exists()
