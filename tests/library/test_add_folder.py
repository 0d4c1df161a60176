"""Many files at once: what is fingerprinted ahead, and what not."""

import os
import shutil
from pathlib import Path
from threading import Event

import numpy as np
import torch

from grafprint import audio
from grafprint.audio import folders
from grafprint.library import Library, add_folder
from grafprint.library.add_file import add_file, fingerprint_file
from grafprint.threads import side_by_side
from tests.libraries import excerpt, write_wav


def test_what_is_heard_ahead_is_what_would_be_heard(library, folder, fingerprinter, tmp_path):
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


def test_only_what_the_library_lacks_is_heard(library, folder, fingerprinter, monkeypatch):
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


def test_a_file_that_changed_after_it_was_heard_is_heard_again(library, folder, fingerprinter):
    file, other = folder / "track 0.wav", folder / "track 1.wav"
    made = fingerprint_file(library, file, fingerprinter, lambda _: None)
    write_wav(file, excerpt(7, 30, 3.0))
    assert add_file(library, file, fingerprinter, prepared=made).track.duration_s == 3
    untouched = fingerprint_file(library, other, fingerprinter, lambda _: None)
    assert untouched is not None
    track = add_file(library, other, fingerprinter, prepared=untouched).track
    rows = np.arange(track.first, track.first + track.count)
    np.testing.assert_array_equal(library.vectors(rows), untouched.vectors.astype(np.float16))


def test_who_stops_adding_does_not_wait_for_what_was_begun(
    library, folder, fingerprinter, monkeypatch
):
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
    list(side_by_side(str, "ab"))  # after what those threads had to do
    assert before == taken
    assert len(taken) == len(set(taken))  # of each file a single chunk
    assert [track.title for track in library.tracks()] == ["track 0"]
