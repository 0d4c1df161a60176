"""Changes to the libraries on a shelf: what is kept, what is refused, and in which words."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from demo.library import cards as library_cards
from demo.library import shelf
from demo.library.shelf import ShelfError
from demo.studio import Studio
from demo.work import Stop, Turn
from grafprint.audio.folders import Failure
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.add_folder import IndexReport, IndexStep
from tests.libraries import excerpt, write_music, write_wav
from tests.paths import ASSETS

HOME = ASSETS / "library"


@pytest.fixture
def own(tmp_path: Path, fingerprinter: Fingerprinter) -> Studio:
    """A studio with an empty library ``mine`` that may be changed."""
    studio = Studio(fingerprinter, HOME, shelf=tmp_path / "shelf", editable=True)
    shelf.create(studio, "mine")
    return studio


def titles(studio: Studio, name: str = "mine") -> list[str]:
    return [track.title for track in studio.identifier(name).library.tracks()]


@pytest.mark.parametrize(
    "name", ["", " ", "../mine", "a/b", "a\\b", ".hidden", "-x", "a\nb", "a.b", "x" * 61, "~"]
)
def test_a_name_that_could_be_a_path_is_refused(own: Studio, name: str):
    with pytest.raises(ShelfError, match="letters, digits"):
        shelf.create(own, name)
    assert own.names() == ["library", "mine"]


def test_new_libraries_are_used_by_name_and_never_over_others(own: Studio):
    assert shelf.create(own, " Müllers 2_Platten ") == "Müllers 2_Platten"
    assert own.names() == ["library", "Müllers 2_Platten", "mine"]
    for name in ("mine", "MINE", "Library"):
        with pytest.raises(ShelfError, match="already"):
            shelf.create(own, name)


def test_uploads_are_kept_beside_the_library_under_their_names(own: Studio, tmp_path: Path):
    first = write_wav(tmp_path / "up" / "song.wav", excerpt(0, 20, 2.0))
    other = write_wav(tmp_path / "more" / "song.wav", excerpt(1, 20, 2.0))
    words = tmp_path / "up" / "words.mp3"
    words.write_text("not music" * 100)
    *_, step = shelf.add_uploads(own, "mine", [first, words, other])
    report, music = step.report, own.path("mine") / "music"
    assert (len(report.added), len(report.failed)) == (2, 1)
    assert sorted(path.name for path in music.iterdir()) == ["song (2).wav", "song.wav"]
    assert titles(own) == ["song", "song (2)"]
    library = own.identifier("mine").library
    for track, upload in zip(library.tracks(), (first, other), strict=True):
        path = library.audio_path(track)
        assert path is not None and path.read_bytes() == upload.read_bytes()
    # The same file again is the same file.
    *_, step = shelf.add_uploads(own, "mine", [first])
    assert len(step.report.unchanged) == 1 and len(list(music.iterdir())) == 2


def test_stopping_keeps_what_was_added_and_nothing_else(own: Studio, tmp_path: Path):
    steps = shelf.add_uploads(own, "mine", write_music(tmp_path / "up", 3))
    assert [next(steps).done, next(steps).done] == [0, 1]
    steps.close()
    assert titles(own) == ["track 0"]
    assert [path.name for path in (own.path("mine") / "music").iterdir()] == ["track 0.wav"]
    # The library can be written to again.
    *_, last = shelf.add_folder(own, "mine", str(tmp_path / "up"))
    assert len(last.report.added) == 2 and len(last.report.duplicates) == 1


def test_a_removed_track_is_gone_and_its_file_stays(own: Studio, tmp_path: Path):
    files = write_music(tmp_path / "music", 2)
    list(shelf.add_folder(own, "mine", str(tmp_path / "music")))
    track = own.identifier("mine").library.tracks("track 0")[0]
    assert shelf.remove(own, "mine", track.id).title == "track 0"
    assert titles(own) == ["track 1"] and all(path.is_file() for path in files)
    with pytest.raises(ShelfError, match="“mine” has no track number"):
        shelf.remove(own, "mine", track.id)


def test_the_first_library_is_never_changed(own: Studio, tmp_path: Path):
    with pytest.raises(ShelfError, match="always stays as it is"):
        shelf.remove(own, "library", 1)
    with pytest.raises(ShelfError, match="always stays as it is"):
        list(shelf.add_folder(own, "library", str(tmp_path)))


def test_nothing_is_changed_where_that_is_not_allowed(own: Studio, tmp_path: Path):
    closed = replace(own, editable=False)
    refused = [
        lambda: shelf.create(closed, "other"),
        lambda: shelf.remove(closed, "mine", 1),
        lambda: list(shelf.add_folder(closed, "mine", str(tmp_path))),
        lambda: list(shelf.add_uploads(closed, "mine", write_music(tmp_path / "up", 1))),
    ]
    for change in refused:
        with pytest.raises(ShelfError, match="start it with"):
            change()
    assert own.names() == ["library", "mine"] and titles(own) == []


def test_another_writer_is_named_without_a_path(own: Studio, tmp_path: Path):
    with (
        Library.open(own.path("mine"), writable=True),
        pytest.raises(ShelfError, match="“mine” is being written to") as caught,
    ):
        list(shelf.add_folder(own, "mine", str(tmp_path)))
    assert str(tmp_path) not in str(caught.value)


def test_facts_tell_size_density_and_licences(studio: Studio):
    found = shelf.facts(studio, "library")
    assert found["tracks"] == 32 and found["fingerprints"] == len(studio.identifier().library)
    assert found["mb_per_hour"] == pytest.approx(found["size_mb"] / found["hours"])
    assert sum(found["licences"].values()) == 32 and not found["editable"]
    html = library_cards.facts(found)
    assert "CC-BY-SA-3.0 (18)" in html and "Flat, exact search" in html


def test_the_report_of_an_addition_is_safe_and_says_why():
    bad = "/music/<b>.wav"
    failure = Failure(bad, f"cannot index {bad!r}: it is silent from beginning to end")
    html = library_cards.done(IndexStep("next", 2, 3, IndexReport(added=[bad], failed=[failure])))
    assert "&lt;b&gt;.wav: it is silent from beginning to end" in html
    assert "<b>.wav" not in html and "/music" not in html
    assert "1 added, 1 left out" in html and "1 file not looked at" in html


def test_who_has_to_wait_is_told_so():
    turn, stop = Turn(threading.Lock()), Stop(wanted=True)
    assert "Beginning" in turn.begin(stop) and not stop.wanted
    with turn.lock:
        assert "yours begins after it" in turn.begin(stop)
