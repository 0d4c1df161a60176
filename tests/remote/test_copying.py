"""A library moves from a folder to a server and back, and nothing is lost on the way."""

from dataclasses import replace

import numpy as np
import pytest

from grafprint.errors import LibraryError
from grafprint.library import Library, labels
from grafprint.remote import copying
from grafprint.remote.address import Address
from grafprint.remote.copying import copy_library
from grafprint.remote.opening import create_library, is_there, open_library
from tests.libraries import Network, excerpt, fill, write_music, write_wav
from tests.remote.conftest import given, opened


@pytest.fixture
def folder(tmp_path, fingerprinter):
    """A library with copies, a file that stays out, tags, and landmarks."""
    files = write_music(tmp_path / "music", 4)
    (tmp_path / "music" / "copy.wav").write_bytes(files[1].read_bytes())
    with Library.create(tmp_path / "library", fingerprinter) as library:
        library.add_folder(tmp_path / "music", fingerprinter)
        tracks = {track.title: track for track in library.tracks()}
        library.remove(tracks["track 3"].id, keep_out=True)
        found = labels.of_probabilities("a tagger", {"Piano": 0.75, "Music": 0.9})
        library.put_labels(tracks["track 0"], found)
        with library.changing() as catalogue:
            catalogue.put_network("own.safetensors")
    return tmp_path / "library"


def contents(place):
    """All that a library knows, without its own numbers; paths as places."""
    with open_library(place) as library:
        known = {}
        for track in library.tracks():
            rows = np.arange(track.first, track.first + track.count)
            texts = replace(track, id=0, first=0, path="")
            files = [library.catalogue.file(path) for path in library.catalogue.paths_of(track.id)]
            known[track.content_hash] = (
                texts,
                sorted((library.located(f.path), f.size, f.mtime_ns) for f in files if f),
                library.tagger_of(track),
                library.labels_of(track),
                library.vectors(rows).tobytes(),
                np.array(library.landmarks(track.first, track.first + track.count)).tobytes(),
            )
        facts = (
            {library.located(p): content for p, content in library.catalogue.kept_out.items()},
            library.located(library.catalogue.network or ""),
            (library.model_id, library.dim, library.hop_s, library.window_s, len(library)),
            library.has_landmarks,
        )
        return known, facts


def test_there_and_back_all_is_the_same(folder, address, tmp_path):
    report = copy_library(folder, address)
    assert len(report.copied) == 3 and report.already == 0
    assert contents(address) == contents(folder)
    back = tmp_path / "back"
    assert len(copy_library(address, back).copied) == 3
    assert contents(back) == contents(folder)
    assert copy_library(folder, address).already == 3
    assert contents(address) == contents(folder)


def test_a_stopped_copy_is_continued(folder, address):
    class Stop(Exception):
        pass

    for most in (1, 2):

        def stop(title, done, total, most=most):
            if done == most:
                raise Stop

        with pytest.raises(Stop):
            copy_library(folder, address, stop)
        with open_library(address) as library:
            assert len(library.tracks()) == most
    report = copy_library(folder, address)
    assert len(report.copied) == 1 and report.already == 2
    assert contents(address) == contents(folder)


def test_what_a_stop_left_out_of_a_track_is_copied_later(folder, address):
    copy_library(folder, address)
    with opened(address) as library:
        library.database.change(
            lambda db: db.execute("DELETE FROM grafprint.files WHERE path LIKE '%copy.wav'")
        )
        library.database.change(lambda db: db.execute("UPDATE grafprint.tracks SET tagger = NULL"))
    assert copy_library(folder, address).already == 3
    assert contents(address) == contents(folder)


def test_the_target_keeps_what_it_has_besides(folder, address, fingerprinter, tmp_path):
    more = write_music(tmp_path / "more", 6)[5]
    with create_library(address, fingerprinter) as library:
        library.add(more, fingerprinter)
    assert len(copy_library(folder, address).copied) == 3
    with open_library(address) as library:
        assert len(library.tracks()) == 4


def test_a_newer_recording_of_the_target_is_kept(folder, address, fingerprinter, tmp_path):
    copy_library(folder, address)
    changed, copied = tmp_path / "music" / "track 0.wav", tmp_path / "music" / "copy.wav"
    write_wav(changed, excerpt(5, 20, 2.0))
    write_wav(copied, excerpt(6, 20, 2.0))
    with opened(address) as library:
        library.add(changed, fingerprinter)
        library.add(copied, fingerprinter)
        before = {track.path: track for track in library.tracks()}
    report = copy_library(folder, address)
    assert report.copied == [] and report.already == 2
    assert sorted(report.kept) == [str(copied), str(changed)]
    with open_library(address) as library:
        assert {track.path: track for track in library.tracks()} == before


def test_what_other_programs_remove_meanwhile_is_left_out(address, postgres, tmp_path):
    """Of the source before it is read, and of the target after it was written."""
    with create_library(address, Network()) as library:
        tracks = fill(library, given(4))
    target = Address(postgres.new_database(f"{address.name}target"))

    def remove(title, done, total):
        if done == 1:
            with opened(address) as source:
                source.remove(tracks[2].id)
        if done == 3:
            with opened(target) as there:
                there.remove(there.tracks("track 0")[0].id)

    report = copy_library(address, target, remove)
    assert [track.title for track in report.copied] == ["track 0", "track 1", "track 3"]
    with open_library(target) as library:
        assert [track.title for track in library.tracks()] == ["track 1", "track 3"]
        assert library.damaged() == []


def test_damage_is_not_copied(address, tmp_path):
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, given(3))
    with (tmp_path / "library" / "fingerprints.f16").open("r+b") as file:
        file.seek(50 * 256)
        file.write(b"damage")
    with pytest.raises(LibraryError, match="damaged"):
        copy_library(tmp_path / "library", address)
    assert not is_there(address)
    create_library(address, Network()).close()
    with opened(address) as remote:
        fill(remote, given(3))
        remote.database.change(
            lambda db: db.execute("UPDATE grafprint.tracks SET crc32 = 1 WHERE title = 'track 1'")
        )
    with pytest.raises(LibraryError, match=r"'track 1' in .* are damaged"):
        copy_library(address, tmp_path / "back")
    with Library.open(tmp_path / "back") as back:
        assert [track.title for track in back.tracks()] == ["track 0"]


def test_what_does_not_arrive_is_reported(folder, address, monkeypatch):
    from grafprint.remote.library import RemoteLibrary

    vectors = RemoteLibrary.vectors
    monkeypatch.setattr(RemoteLibrary, "vectors", lambda self, rows: -vectors(self, rows))
    with pytest.raises(LibraryError, match="did not arrive"):
        copy_library(folder, address)


def test_libraries_of_different_networks_are_not_mixed(folder, address):
    create_library(address, Network()).close()
    with pytest.raises(LibraryError, match="made with network"):
        copy_library(folder, address)
    with pytest.raises(LibraryError, match="are the same library"):
        copy_library(address, address)


def test_long_tracks_are_copied_block_by_block(address, tmp_path, monkeypatch):
    monkeypatch.setattr(copying, "_BLOCK", 16)
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, given(2))
    copy_library(tmp_path / "library", address)
    with open_library(address) as remote:
        for track, vectors in zip(remote.tracks(), given(2), strict=True):
            rows = np.arange(track.first, track.first + track.count)
            np.testing.assert_array_equal(remote.vectors(rows), vectors)
