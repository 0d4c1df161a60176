"""Libraries of real files: adding, changes, copies, removal, search, tags, moving."""

import os
import shutil
import tracemalloc
from pathlib import Path

import mutagen
import numpy as np
import pytest

from grafprint import audio
from grafprint.audio import AudioError
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, LibraryError, add_folder
from grafprint.matching import identify, identify_file
from grafprint.models.encoders import build
from tests.audio_files import MUSIC, write
from tests.libraries import DIM, excerpt, write_music, write_wav

RATE = audio.SAMPLE_RATE


def titles(library):
    return [track.title for track in library.tracks()]


# Adding ---------------------------------------------------------------------------------------


def test_a_track_is_stored_with_its_fingerprints(library, folder, fingerprinter):
    file = folder / "track 0.wav"
    result = library.add(file, fingerprinter)
    track = result.track
    assert result.status == "added"
    assert (track.title, track.artist, track.path) == ("track 0", "", "../music/track 0.wav")
    assert track.duration_s == 2
    wanted = fingerprinter(audio.load(file))
    assert (track.first, track.count) == (0, len(wanted))
    stored = library.vectors(np.arange(track.count))
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, wanted.astype(np.float16).astype(np.float32))
    assert library.audio_path(track) == file
    assert library.tracks() == [track]
    assert library.track(track.id) == track
    assert len(library) == track.count
    assert (library.model_id, library.dim) == (fingerprinter.model_id, fingerprinter.dim)
    assert (library.hop_s, library.window_s) == (fingerprinter.hop_s, fingerprinter.window_s)


def test_a_folder_through_all_its_changes(library, folder, fingerprinter):
    """New, unchanged, touched, changed, copied and vanished files, in one library's life."""
    (folder / "notes.txt").write_text("not music")
    (folder / ".hidden.wav").write_bytes(b"nor this")
    first = library.add_folder(folder, fingerprinter)
    files = [str(folder / f"track {n}.wav") for n in range(3)]
    assert first.added == files
    assert first.audio_s == 6
    assert not first.failed
    stored = library.tracks()

    again = library.add_folder(folder, fingerprinter)
    assert (again.added, again.unchanged, again.audio_s) == ([], files, 0)
    os.utime(files[0], ns=(1, 1))
    assert library.add_folder(folder, fingerprinter).unchanged == files
    assert library.tracks() == stored
    assert library.rows == len(library)

    write_wav(Path(files[1]), excerpt(7, 30, 3.0))
    shutil.copy(files[2], folder / "twin.wav")
    Path(files[0]).unlink()
    report = library.add_folder(folder, fingerprinter)
    assert report.updated == [files[1]]
    assert report.duplicates == [str(folder / "twin.wav")]
    assert report.unchanged == [files[2]]
    assert (report.missing, report.removed) == ([files[0]], [])
    updated = library.track(stored[1].id)
    assert (updated.title, updated.duration_s) == ("track 1", 3)
    assert library.track(stored[0].id) == stored[0]
    assert library.audio_path(stored[0]) is None
    assert library.rows == len(library) + stored[1].count  # the old fingerprints are dead
    np.testing.assert_array_equal(library.track_of(np.arange(11, 22)), -1)

    pruned = library.add_folder(folder, fingerprinter, prune=True)
    assert pruned.missing == pruned.removed == [files[0]]
    assert titles(library) == ["track 1", "track 2"]


@pytest.mark.parametrize("name", ["link", "music/.."])
def test_files_missing_from_a_linked_folder_are_found(
    library, folder, fingerprinter, tmp_path, name
):
    """Also from one that is named by the way back out of it."""
    (tmp_path / "link").symlink_to(folder)
    named = tmp_path / name
    library.add_folder(named, fingerprinter)
    (folder / "track 0.wav").unlink()
    report = library.add_folder(named, fingerprinter, prune=True)
    assert report.missing == report.removed == [str(folder / "track 0.wav")]
    assert titles(library) == ["track 1", "track 2"]


def test_a_copy_keeps_the_track_when_the_first_file_goes(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    rows = library.rows
    (folder / "moved").mkdir()
    (folder / "track 1.wav").rename(folder / "moved" / "elsewhere.wav")
    report = library.add_folder(folder, fingerprinter, prune=True)
    assert report.duplicates == [str(folder / "moved" / "elsewhere.wav")]
    assert report.removed == [str(folder / "track 1.wav")]
    track = library.track(2)
    assert (track.path, track.title) == ("../music/moved/elsewhere.wav", "elsewhere")
    assert library.audio_path(track) == folder / "moved" / "elsewhere.wav"
    assert library.rows == rows  # nothing was fingerprinted again


def test_a_changed_copy_becomes_a_track_of_its_own(library, folder, fingerprinter):
    shutil.copy(folder / "track 0.wav", folder / "copy.wav")
    library.add_folder(folder, fingerprinter)
    assert library.track(1).path == "../music/copy.wav"
    write_wav(folder / "copy.wav", excerpt(8, 30, 2.0))
    report = library.add_folder(folder, fingerprinter)
    assert report.updated == [str(folder / "copy.wav")]
    assert len(library.tracks()) == 4
    assert library.track(1).path == "../music/track 0.wav"
    # And a file that becomes a copy of another leaves no track behind.
    shutil.copy(folder / "track 1.wav", folder / "copy.wav")
    assert library.add_folder(folder, fingerprinter).duplicates == [str(folder / "copy.wav")]
    assert [t.id for t in library.tracks()] == [1, 2, 3]


def test_bad_files_are_reported_and_the_rest_is_indexed(library, folder, fingerprinter):
    (folder / "broken.mp3").write_bytes(b"this is not music" * 100)
    write_wav(folder / "short.wav", excerpt(0, 20, 0.3))
    write_wav(folder / "silence.wav", np.zeros(2 * RATE, np.float32))
    write_wav(folder / "nan.wav", np.append(excerpt(0, 20, 31.0), np.float32(np.nan)))
    (folder / "empty.flac").touch()
    (folder / "dangling.wav").symlink_to(folder / "nowhere.wav")
    library.add(folder / "track 2.wav", fingerprinter)
    report = library.add_folder(folder, fingerprinter)
    assert report.added == [str(folder / f"track {n}.wav") for n in range(2)]
    reasons = {Path(path).name: reason for path, reason in report.failed}
    assert sorted(reasons) == [
        *("broken.mp3", "dangling.wav", "empty.flac", "nan.wav", "short.wav", "silence.wav")
    ]
    for name, reason in reasons.items():
        assert name in reason
    assert "0.30 s long; at least 1 s is needed" in reasons["short.wav"]
    assert "silent from beginning to end" in reasons["silence.wav"]
    assert "NaN" in reasons["nan.wav"]
    assert titles(library) == ["track 2", "track 0", "track 1"]
    # The file that failed after 31 s has left nothing behind either.
    assert library.rows == len(library)
    assert library.vector_store.path.stat().st_size == library.rows * 2 * library.dim


@pytest.mark.parametrize("bad", ["short", "nothing"])
def test_a_single_bad_file_is_an_error(library, folder, fingerprinter, bad):
    if bad == "short":
        write_wav(folder / "short.wav", excerpt(0, 20, 0.9))
    with pytest.raises(AudioError, match=rf"cannot index .*{bad}\.wav"):
        library.add(folder / f"{bad}.wav", fingerprinter)
    assert library.tracks() == []


def test_single_files_and_missing_folders(library, folder, fingerprinter):
    assert library.add_folder(folder / "track 1.wav", fingerprinter).added
    assert titles(library) == ["track 1"]
    with pytest.raises(LibraryError, match="there is no folder or file"):
        library.add_folder(folder / "nowhere", fingerprinter)
    with pytest.raises(LibraryError, match="there is no folder or file"):
        library.add_folder(folder / "track 0.wav" / "deeper", fingerprinter)


def test_progress_reports_files_and_seconds(library, folder, fingerprinter, monkeypatch):
    monkeypatch.setattr(add_folder, "LONG_S", 30.5)
    write_wav(folder / "long.wav", excerpt(1, 0, 31.0))
    told = []
    library.add_folder(folder, fingerprinter, lambda *event: told.append(event))
    files = [str(folder / name) for name in ("long.wav", *(f"track {n}.wav" for n in range(3)))]
    assert [told[0], told[-1]] == [(files[0], 0, 4, 0.0), (files[3], 4, 4, 37.0)]
    assert [event[1] for event in told] == sorted(event[1] for event in told)
    assert [event[3] for event in told] == sorted(event[3] for event in told)
    assert (files[0], 0, 4, 30.0) in told  # in the middle of a file


def test_linked_folders_are_walked_once(library, folder, fingerprinter, tmp_path):
    (tmp_path / "other").mkdir()
    (folder / "track 2.wav").rename(tmp_path / "other" / "track 2.wav")
    (folder / "linked").symlink_to(tmp_path / "other")
    (folder / "loop").symlink_to(folder)
    report = library.add_folder(folder, fingerprinter)
    assert [Path(path).name for path in report.added] == [f"track {n}.wav" for n in (2, 0, 1)]
    assert not library.add_folder(folder, fingerprinter).missing


def test_names_in_any_script_and_names_that_are_not_text(library, folder, fingerprinter):
    (folder / "track 0.wav").rename(folder / "Ænima – 東京 🎵.wav")
    raw = os.path.join(os.fsencode(folder), b"caf\xe9.wav")
    os.rename(folder / "track 1.wav", raw)
    report = library.add_folder(folder, fingerprinter)
    assert titles(library) == ["track 2", "Ænima – 東京 🎵"]
    assert len(report.failed) == 1
    report.failed[0].reason.encode()
    assert "rename it" in report.failed[0].reason
    assert library.tracks("ænima") == library.tracks()[1:]


def test_memory_stays_bounded_for_a_long_file(tmp_path, folder):
    """Ten minutes, with a network that does nothing: the memory of the library itself."""

    class Counting(Fingerprinter):
        def encode_windows(self, inputs, silent, own=slice(None)):
            return np.ones((len(inputs), DIM), np.float32)[own]

    samples = np.tile(excerpt(0, 20, 10.0), 60)
    path = write_wav(folder / "long.wav", samples)
    del samples
    counting = Counting(build("grafprint"))
    with Library.create(tmp_path / "library", counting) as library:
        tracemalloc.start()
        track = library.add(path, counting).track
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert track.duration_s == 600
    assert peak < 15e6  # the file has 38 MB of samples


# Removing and compacting ----------------------------------------------------------------------


def test_removed_tracks_are_gone_from_everything(library, folder, fingerprinter):
    library.add_folder(folder, fingerprinter)
    query = fingerprinter(excerpt(1, 20, 2.0))
    assert identify(library, query).matches[0].track.title == "track 1"
    removed = library.remove(2)
    assert removed.title == "track 1"
    assert titles(library) == ["track 0", "track 2"]
    assert 2 not in {match.track.id for match in identify(library, query, k=100).matches}
    found = library.search(query, 40)[1]
    assert set(library.track_of(found[found >= 0])) == {1, 3}
    with pytest.raises(LibraryError, match="no track number 2"):
        library.remove(2)
    # It can come back, under a new number.
    assert library.add_folder(folder, fingerprinter).added == [str(folder / "track 1.wav")]
    assert identify(library, query).matches[0].track.id == 4


def test_compacting_keeps_all_live_rows(library, folder, fingerprinter, tmp_path):
    library.add_folder(folder, fingerprinter)
    kept = {t.id: library.vectors(np.arange(t.first, t.first + t.count)) for t in library.tracks()}
    assert library.compact() == 0
    library.remove(1)
    assert library.compact() == 11
    assert library.rows == len(library) == 22
    for track in library.tracks():
        rows = np.arange(track.first, track.first + track.count)
        np.testing.assert_array_equal(library.vectors(rows), kept[track.id])
    query = fingerprinter(excerpt(2, 20, 2.0))
    assert identify(library, query).matches[0].track.title == "track 2"
    assert len(list(library.path.glob("*.f16"))) == 1
    library.close()
    with Library.open(library.path) as reopened:
        assert identify(reopened, query).matches[0].track.title == "track 2"
        assert len(reopened) == 22


def cut_with_tags(track, path):
    """The first two seconds of an Opus file, with its tags."""
    write(path, excerpt(MUSIC.index(track), 20, 2.0).repeat(3), 48_000, "libopus")
    cut = mutagen.File(path)
    cut.update(mutagen.File(track).tags)
    cut.save()


# Searching ------------------------------------------------------------------------------------


def test_searching_tracks_by_text(library, folder, fingerprinter):
    tagged = folder / MUSIC[0].name
    cut_with_tags(MUSIC[0], tagged)
    library.add_folder(folder, fingerprinter)
    track = library.tracks("8BIT")[0]
    assert library.audio_path(track) == tagged
    assert (track.title, track.artist, track.album) == (
        *("0 8Bit Bonus Track", "Wildfire Games", "0 A.D."),
    )
    assert (track.licence, track.source) == ("CC-BY-SA-3.0", "https://play0ad.com/")
    assert library.tracks("wildfire  bonus") == [track]
    assert library.tracks("wildfire nothing") == []
    assert len(library.tracks("MUSIC/track")) == 3
    assert len(library.tracks("  ")) == 4


# Elsewhere ------------------------------------------------------------------------------------


def test_a_copied_library_still_plays(library, folder, fingerprinter, tmp_path):
    library.add_folder(folder, fingerprinter)
    library.close()
    place = tmp_path / "another" / "machine"
    shutil.copytree(tmp_path / "library", place / "library")
    shutil.copytree(folder, place / "music")
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "library")
    with Library.open(place / "library") as copied:
        answer = identify_file(copied, fingerprinter, place / "music" / "track 2.wav")
        assert answer.matches[0].track.title == "track 2"
        assert copied.audio_path(answer.matches[0].track) == place / "music" / "track 2.wav"
    with Library.open(place / "library", writable=True) as copied:
        assert len(copied.add_folder(place / "music", fingerprinter).unchanged) == 3


def test_music_outside_the_parent_folder_is_stored_by_full_path(fingerprinter, tmp_path):
    files = write_music(tmp_path / "far" / "music", 1)
    with Library.create(tmp_path / "near" / "library", fingerprinter) as library:
        track = library.add(files[0], fingerprinter).track
        assert track.path == str(files[0])
        assert library.audio_path(track) == files[0]


def test_a_library_opened_through_a_link_or_a_relative_path(
    library, folder, fingerprinter, tmp_path, monkeypatch
):
    library.close()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link").symlink_to(tmp_path / "library")
    with Library.open(tmp_path / "elsewhere" / "link", writable=True) as linked:
        track = linked.add(folder / "track 0.wav", fingerprinter).track
        assert track.path == "../music/track 0.wav"
    monkeypatch.chdir(tmp_path)
    with Library.open("library", writable=True) as relative:
        assert relative.audio_path(track) == folder / "track 0.wav"
        assert relative.add(Path("music/track 0.wav"), fingerprinter).status == "unchanged"
