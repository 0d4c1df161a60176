"""Another program removes or replaces tracks while one works with them: each goes on."""

import pytest

from grafprint.errors import LibraryError
from grafprint.library import tag_tracks
from grafprint.library.labels import of_probabilities
from grafprint.library.records import File
from grafprint.remote.opening import create_library
from tests.libraries import excerpt, fill, write_music, write_wav
from tests.remote.conftest import given, opened
from tests.remote.writing import assert_no_leftovers


@pytest.fixture
def library(address, fingerprinter):
    with create_library(address, fingerprinter) as library:
        yield library


@pytest.fixture
def other(address, library):
    """The same library, in another program."""
    with opened(address) as other:
        yield other


def once(monkeypatch, library, name, work):
    """Do something after the next call of one of the catalogue's methods."""
    method, todo = getattr(library.catalogue, name), [work]

    def call(*arguments):
        found = method(*arguments)
        if todo:
            todo.pop()()
        return found

    monkeypatch.setattr(library.catalogue, name, call)
    return todo


@pytest.mark.parametrize("name", ["file", "with_content", "put_file", "put_tags"])
def test_a_track_that_is_removed_while_its_file_is_added_is_added_again(
    library, other, fingerprinter, tmp_path, monkeypatch, name
):
    (file,) = write_music(tmp_path, 1)
    first = library.add(file, fingerprinter).track
    if name != "file":  # it was moved
        file = file.rename(tmp_path / "moved.wav")
    todo = once(monkeypatch, library, name, lambda: other.remove(first.id))
    result = library.add(file, fingerprinter)
    assert not todo and result.status == "added" and result.track.id != first.id
    assert library.tracks() == [result.track] and result.track.path == str(file)
    assert_no_leftovers(library)


def test_tracks_that_change_while_they_are_tagged_are_passed_over(
    library, other, fingerprinter, tmp_path
):
    files = write_music(tmp_path, 4)
    tracks = [library.add(file, fingerprinter).track for file in files]

    class Tagger:
        tagger_id, window_s = "a tagger", 1.0

        def tag_file(self, file, *_, **__):
            if file == files[1]:
                other.remove(tracks[1].id)
            if file == files[2]:
                write_wav(file, excerpt(5, 20, 2.0))
                other.add(file, fingerprinter)
            return self

        def tags(self, least):
            return []

    report = tag_tracks(library, Tagger())  # type: ignore[arg-type]
    assert [track.id for track in report.tagged] == [tracks[0].id, tracks[3].id]
    assert not report.failed
    assert [bool(library.tagger_of(track)) for track in library.tracks()] == [True, False, True]


def test_labels_of_a_former_content_are_not_stored(remote):
    """Also where it is replaced between the look at the track and the change."""
    (track,) = fill(remote, given(1))
    remote.database.change(
        lambda db: db.execute("UPDATE grafprint.tracks SET content_hash = 'another'")
    )
    with pytest.raises(LibraryError, match="'track 0'"):
        remote.catalogue.put_labels(track, of_probabilities("a tagger", {"Piano": 0.5}))
    assert not remote.catalogue.has_labels


def test_a_file_that_moves_to_another_track_leaves_none_behind(remote, address, monkeypatch):
    """It is removed with the track that it holds by then."""
    one, two = fill(remote, given(2))
    entry = File(one.path, two.id, 1, 1)
    with opened(address) as other:
        change = remote.database.change

        def changed(work):
            other.catalogue.put_file(entry)
            other.catalogue.remove_files([two.path])
            monkeypatch.undo()
            return change(work)

        monkeypatch.setattr(remote.database, "change", changed)
        removed = remote.catalogue.remove_files([one.path])
    assert [track.id for track in removed] == [two.id] and remote.tracks() == []
    assert_no_leftovers(remote)
