"""Titles that follow file names, tags that are kept, and libraries of older versions."""

import shutil
import sqlite3

import pytest

from grafprint import Fingerprinter
from grafprint.library import Library
from tests.audio_files import music, write
from tests.libraries import excerpt, write_wav
from tests.paths import ASSETS

TEXTS = {"title": "Das Lied", "artist": "Die Band", "album": "Platte", "date": "1998"}


@pytest.fixture(scope="module")
def fingerprinter():
    return Fingerprinter.load(ASSETS / "grafprint-fast.safetensors")


@pytest.fixture
def library(tmp_path, fingerprinter):
    with Library.create(tmp_path / "library", fingerprinter) as made:
        yield made


def titles(library):
    return [track.title for track in library.tracks()]


@pytest.mark.parametrize("prune", [False, True])
def test_the_title_of_an_untagged_file_follows_its_name(tmp_path, library, fingerprinter, prune):
    folder = tmp_path / "music"
    old = write_wav(folder / "track01.wav", excerpt(0, 20, 2.0))
    library.add_folder(folder, fingerprinter)
    old.rename(folder / "Beatles - Help.wav")
    report = library.add_folder(folder, fingerprinter, prune=prune)
    assert len(report.duplicates) == 1
    assert titles(library) == ["Beatles - Help"]
    with Library.open(library.path) as reopened:
        assert titles(reopened) == ["Beatles - Help"]
        assert reopened.tracks()[0].title_from_name


def test_the_title_in_the_tags_stays_when_the_file_is_renamed(tmp_path, library, fingerprinter):
    path = write(
        tmp_path / "Help.flac", music(2, 48_000), 48_000, "flac", metadata={"title": "Help"}
    )
    library.add(path, fingerprinter)
    library.add(path.rename(tmp_path / "x.flac"), fingerprinter)
    assert titles(library) == ["Help"]


def test_the_title_follows_when_the_first_of_two_copies_goes(tmp_path, library, fingerprinter):
    folder = tmp_path / "music"
    first = write_wav(folder / "a.wav", excerpt(0, 20, 2.0))
    library.add_folder(folder, fingerprinter)
    shutil.copy(first, folder / "b.wav")
    library.add_folder(folder, fingerprinter)
    assert titles(library) == ["a"]
    first.unlink()
    library.add_folder(folder, fingerprinter, prune=True)
    assert titles(library) == ["b"]
    with Library.open(library.path) as reopened:
        assert titles(reopened) == ["b"]


def test_artist_and_album_of_untagged_files_come_from_their_folders(
    tmp_path, library, fingerprinter
):
    write_wav(tmp_path / "music" / "Band" / "Platte" / "01.wav", excerpt(0, 20, 2.0))
    library.add_folder(tmp_path / "music", fingerprinter)
    (track,) = library.tracks()
    assert (track.artist, track.album, track.title) == ("Band", "Platte", "01")


def test_year_and_identifiers_are_kept_and_given_out(tmp_path, library, fingerprinter):
    path = write(tmp_path / "a.flac", music(2, 48_000), 48_000, "flac",
                 metadata={**TEXTS, "isrc": "GBAYE7100123"})  # fmt: skip
    library.add(path, fingerprinter)
    with Library.open(library.path) as reopened:
        (track,) = reopened.tracks()
    assert track == library.tracks()[0]
    assert (track.title, track.artist) == ("Das Lied", "Die Band")
    assert track.identifiers() == {
        "year": "1998", "isrc": "GBAYE7100123", "musicbrainz_recording": "",
        "musicbrainz_release": "", "musicbrainz_artist": "",
    }  # fmt: skip


def test_a_library_without_these_tags_is_read_and_gets_them_at_the_next_index(
    tmp_path, fingerprinter
):
    """As written by older versions, which did not find the tags of a WAV either."""
    path = write(tmp_path / "a.wav", music(2, 48_000), 48_000, "pcm_s16le", metadata=TEXTS)
    with Library.create(tmp_path / "library", fingerprinter) as made:
        made.add(path, fingerprinter)
    with sqlite3.connect(tmp_path / "library" / "library.sqlite3") as db:
        db.execute("DROP TABLE details")
        db.execute("UPDATE tracks SET title = 'a', artist = '', album = ''")
    db.close()
    with Library.open(tmp_path / "library") as opened:  # a reader changes nothing
        (track,) = opened.tracks()
        assert (track.title, track.year, track.title_from_name) == ("a", "", False)
    with Library.open(tmp_path / "library", writable=True) as opened:
        result = opened.add(path, fingerprinter)
        assert result.status == "unchanged"
        assert (result.track.title, result.track.year) == ("Das Lied", "1998")


def test_details_count_only_for_the_content_they_were_read_from(tmp_path, library, fingerprinter):
    """An older version may since have stored another content for the track."""
    path = write(tmp_path / "a.flac", music(2, 48_000), 48_000, "flac", metadata=TEXTS)
    library.add(path, fingerprinter)
    library.close()
    with sqlite3.connect(library.path / "library.sqlite3") as db:
        db.execute("UPDATE tracks SET content_hash = 'another'")
    db.close()
    with Library.open(library.path) as opened:
        assert opened.tracks()[0].year == ""
