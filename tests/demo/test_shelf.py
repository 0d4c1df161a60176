"""Changes to the libraries on a shelf: results, refusals and messages."""

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
    assert own.names() == ["Demo music", "mine"]


def test_new_libraries_never_replace_others(own: Studio):
    assert shelf.create(own, " Müllers 2_Platten ") == "Müllers 2_Platten"
    assert own.names() == ["Demo music", "Müllers 2_Platten", "mine"]
    for name in ("mine", "MINE", "Library"):
        with pytest.raises(ShelfError, match="already a library"):
            shelf.create(own, name)


def test_uploads_are_stored_in_the_library_under_their_names(own: Studio, tmp_path: Path):
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
    # The same file is stored only once.
    *_, step = shelf.add_uploads(own, "mine", [first])
    assert len(step.report.unchanged) == 1 and len(list(music.iterdir())) == 2


def test_stopping_keeps_only_the_files_added_before(own: Studio, tmp_path: Path):
    steps = shelf.add_uploads(own, "mine", write_music(tmp_path / "up", 3))
    assert [next(steps).done, next(steps).done] == [0, 1]
    steps.close()
    assert titles(own) == ["track 0"]
    assert [path.name for path in (own.path("mine") / "music").iterdir()] == ["track 0.wav"]
    # The library is not locked any more.
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
    with pytest.raises(ShelfError, match="cannot be changed"):
        shelf.remove(own, "library", 1)
    with pytest.raises(ShelfError, match="cannot be changed"):
        list(shelf.add_folder(own, "library", str(tmp_path)))


def test_a_read_only_studio_refuses_all_changes(own: Studio, tmp_path: Path):
    read_only = replace(own, editable=False)
    changes = [
        lambda: shelf.create(read_only, "other"),
        lambda: shelf.remove(read_only, "mine", 1),
        lambda: list(shelf.add_folder(read_only, "mine", str(tmp_path))),
        lambda: list(shelf.add_uploads(read_only, "mine", write_music(tmp_path / "up", 1))),
    ]
    for change in changes:
        with pytest.raises(ShelfError, match="start the app with"):
            change()
    assert own.names() == ["Demo music", "mine"] and titles(own) == []


def test_the_message_about_another_writer_contains_no_path(own: Studio, tmp_path: Path):
    with (
        Library.open(own.path("mine"), writable=True),
        pytest.raises(ShelfError, match="“mine” is being written to") as caught,
    ):
        list(shelf.add_folder(own, "mine", str(tmp_path)))
    assert str(tmp_path) not in str(caught.value)


def test_facts_include_size_density_and_licences(studio: Studio):
    facts = shelf.facts(studio, "library")
    assert facts["tracks"] == 32 and facts["fingerprints"] == len(studio.identifier().library)
    assert facts["mb_per_hour"] == pytest.approx(facts["size_mb"] / facts["hours"])
    assert sum(facts["licences"].values()) == 32 and not facts["editable"]
    html = library_cards.facts(facts)
    assert "CC-BY-SA-3.0 (18)" in html and "Flat, exact search" in html


def test_the_report_of_an_addition_is_escaped_and_gives_reasons():
    bad = "/music/<b>.wav"
    failure = Failure(bad, f"cannot index {bad!r}: it is silent from beginning to end")
    html = library_cards.summary(
        IndexStep("next", 2, 3, IndexReport(added=[bad], failed=[failure]))
    )
    assert "&lt;b&gt;.wav: it is silent from beginning to end" in html
    assert "<b>.wav" not in html and "/music" not in html
    assert "1 added, 1 failed" in html and "1 file not processed" in html


def test_a_visitor_who_has_to_wait_is_told():
    turn, stop = Turn(threading.Lock()), Stop(wanted=True)
    assert "Starting" in turn.begin(stop) and not stop.wanted
    with turn.lock:
        assert "yours starts after it" in turn.begin(stop)
