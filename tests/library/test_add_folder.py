"""Many files at once: which are fingerprinted ahead, and how often each is read."""

import hashlib
import os
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from grafprint import audio
from grafprint.audio import folders
from grafprint.library import Library, add_folder
from grafprint.library.add_file import add_file, fingerprint_file
from grafprint.threads import side_by_side
from tests.libraries import excerpt, write_wav


def test_fingerprints_computed_ahead_equal_those_of_single_files(
    library, folder, fingerprinter, tmp_path
):
    write_wav(folder / "track 3.wav", excerpt(3, 0, 31.0))
    (folder / "track 1x.wav").write_text("no audio at all")
    write_wav(folder / "track 2x.wav", np.zeros(20_000, np.float32))
    report = library.add_folder(folder, fingerprinter)
    assert [Path(path).name for path, _ in report.failed] == ["track 1x.wav", "track 2x.wav"]
    assert [Path(path).name for path in report.added] == [f"track {n}.wav" for n in range(4)]
    with Library.create(tmp_path / "singly", fingerprinter) as singly:
        for path in report.added:
            singly.add(path, fingerprinter)
        everything = np.arange(len(library))
        np.testing.assert_array_equal(library.vectors(everything), singly.vectors(everything))
        assert [t.duration_s for t in library.tracks()] == [t.duration_s for t in singly.tracks()]


def test_only_new_content_is_fingerprinted(library, folder, fingerprinter, monkeypatch):
    library.add_folder(folder, fingerprinter)
    os.utime(folder / "track 0.wav", ns=(1, 1))
    shutil.copy(folder / "track 1.wav", folder / "twin.wav")
    write_wav(folder / "track 2.wav", excerpt(7, 30, 3.0))
    opened: dict[str, list[str]] = {"probe": [], "stream": []}

    def note(name):
        open_it = getattr(audio, name)

        def noting(path):
            opened[name].append(path.name)
            return open_it(path)

        monkeypatch.setattr(audio, name, noting)

    for name in opened:
        note(name)
    assert library.add_folder(folder, fingerprinter).updated == [str(folder / "track 2.wav")]
    assert opened["stream"] == ["track 2.wav"]
    opened["probe"].clear()
    assert not library.add_folder(folder, fingerprinter).updated
    assert opened == {"probe": [], "stream": ["track 2.wav"]}


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were hashed, once for each time."""
    names: list[str] = []
    digest = hashlib.file_digest

    def noting(file, algorithm):
        names.append(Path(file.name).name)
        return digest(file, algorithm)

    monkeypatch.setattr(hashlib, "file_digest", noting)
    return names


def test_each_file_is_hashed_once_and_known_ones_never(library, folder, fingerprinter, hashed):
    names = [f"track {n}.wav" for n in range(3)]
    library.add_folder(folder, fingerprinter)
    assert sorted(hashed) == names
    hashed.clear()
    library.add_folder(folder, fingerprinter)
    assert hashed == []
    os.utime(folder / "track 0.wav", ns=(1, 1))
    shutil.copy(folder / "track 1.wav", folder / "twin.wav")
    report = library.add_folder(folder, fingerprinter)
    assert [Path(path).name for path in report.duplicates] == ["twin.wav"]
    assert sorted(hashed) == ["track 0.wav", "twin.wav"]
    hashed.clear()
    library.add(write_wav(folder / "single.wav", excerpt(8, 30, 2.0)), fingerprinter)
    assert hashed == ["single.wav"]


def test_a_file_that_changed_in_between_is_hashed_again(library, folder, fingerprinter, hashed):
    file = folder / "track 0.wav"
    prepared = fingerprint_file(library, file, fingerprinter, lambda _: None)
    write_wav(file, excerpt(7, 30, 3.0))
    track = add_file(library, file, fingerprinter, prepared=prepared).track
    assert hashed == ["track 0.wav"] * 2
    with file.open("rb") as opened:
        assert track.content_hash == hashlib.file_digest(opened, "sha256").hexdigest()


def test_a_copy_whose_track_was_removed_in_between_is_fingerprinted(library, folder, fingerprinter):
    track = library.add(folder / "track 0.wav", fingerprinter).track
    copy = Path(shutil.copy(folder / "track 0.wav", folder / "copy.wav"))
    prepared = fingerprint_file(library, copy, fingerprinter, lambda _: None)
    assert not len(prepared.vectors)
    library.remove(track.id)
    added = add_file(library, copy, fingerprinter, prepared=prepared)
    assert (added.status, added.track.count) == ("added", track.count)


def test_a_file_that_changed_in_between_is_fingerprinted_again(library, folder, fingerprinter):
    file, other = folder / "track 0.wav", folder / "track 1.wav"
    prepared = fingerprint_file(library, file, fingerprinter, lambda _: None)
    write_wav(file, excerpt(7, 30, 3.0))
    assert add_file(library, file, fingerprinter, prepared=prepared).track.duration_s == 3
    untouched = fingerprint_file(library, other, fingerprinter, lambda _: None)
    track = add_file(library, other, fingerprinter, prepared=untouched).track
    rows = np.arange(track.first, track.first + track.count)
    np.testing.assert_array_equal(library.vectors(rows), untouched.vectors.astype(np.float16))


def test_stopping_does_not_wait_for_files_in_progress(library, folder, fingerprinter, monkeypatch):
    for number in range(1, 4):
        write_wav(folder / f"track {number}.wav", excerpt(number, 0, 95.0))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    begun, closed, stream, taken = Event(), Event(), audio.stream, []

    def slow(path):
        for chunk in stream(path):
            yield chunk
            if path.name != "track 0.wav":
                taken.append(path.name)
                begun.set()
                assert closed.wait(60)

    monkeypatch.setattr(audio, "stream", slow)
    steps = add_folder.add_files(library, folders.audio_files(folder, []), fingerprinter)
    next(steps)
    assert next(steps).done == 1
    assert begun.wait(60)
    steps.close()
    before = list(taken)
    closed.set()
    list(side_by_side(str, "ab"))  # waits until those threads are idle
    assert before == taken
    assert len(taken) == len(set(taken))  # a single chunk of each file
    assert [track.title for track in library.tracks()] == ["track 0"]
