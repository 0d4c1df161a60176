"""What tracks sound like: tagged once, kept in the library, found again; older libraries."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from grafprint.errors import LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, TagReport, tag_tracks
from grafprint.library.labels import of_probabilities
from grafprint.library.repair import repair
from grafprint.tagging import ClipTagger
from tests import taggers
from tests.libraries import excerpt, write_wav
from tests.paths import ASSETS
from tests.training.labelled_clips import clip


@pytest.fixture(scope="module")
def fingerprinter() -> Fingerprinter:
    return Fingerprinter.load(ASSETS / "grafprint-fast.safetensors")


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> ClipTagger:
    return ClipTagger.load(taggers.save(tmp_path_factory.mktemp("tagger") / "t.safetensors"))


@pytest.fixture
def library(tmp_path: Path, fingerprinter: Fingerprinter) -> Library:
    """Two tracks: hiss and music."""
    write_wav(tmp_path / "music/hiss.wav", clip("Hiss", 30, 3.0).astype(np.float32))
    write_wav(tmp_path / "music/song.wav", excerpt(1, 20, 3.0))
    with Library.create(tmp_path / "library", fingerprinter) as made:
        made.add_folder(tmp_path / "music", fingerprinter)
    return Library.open(tmp_path / "library", writable=True)


def titled(library: Library, title: str):
    return next(track for track in library.tracks() if track.title == title)


def tables(library: Path) -> set[str]:
    with sqlite3.connect(library / "library.sqlite3") as db:
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    db.close()
    return names


def test_tracks_are_tagged_and_their_labels_kept(library: Library, tagger: ClipTagger):
    calls: list[tuple[str, int, int, float]] = []
    report = tag_tracks(library, tagger, lambda *a: calls.append(a))
    assert [t.title for t in report.tagged] == ["hiss", "song"]
    assert report.unchanged == 0 and not report.failed
    assert calls[0][1:3] == (0, 2) and calls[-1] == ("", 2, 2, 0.0)
    library.close()
    with Library.open(library.path) as opened:  # for reading
        assert opened.has_labels
        for title, label in (("hiss", "Hiss"), ("song", "Music")):
            found = opened.labels_of(titled(opened, title))
            assert next(iter(found)) == label and found[label] > 0.5
            assert list(found.values()) == sorted(found.values(), reverse=True)
            path = opened.audio_path(titled(opened, title))
            assert path is not None
            expected = tagger.tag_file(path, tagger.window_s).tags(top=1)[0].probability
            assert found[label] == pytest.approx(expected, abs=1e-4)
            assert opened.tagger_of(titled(opened, title)) == tagger.tagger_id


def test_what_is_tagged_is_not_tagged_again(
    library: Library, tagger: ClipTagger, fingerprinter: Fingerprinter, tmp_path: Path
):
    tag_tracks(library, tagger)
    write_wav(tmp_path / "music/hum.wav", clip("Hum", 30, 3.0).astype(np.float32))
    library.add_folder(tmp_path / "music", fingerprinter)
    report = tag_tracks(library, tagger)
    assert [t.title for t in report.tagged] == ["hum"] and report.unchanged == 2
    # Another tagger's tags take the place of these.
    calibration = {"scale": [0.5] * 3, "bias": [0.0] * 3}
    file = taggers.save(tmp_path / "other.safetensors", calibration=calibration)
    other = ClipTagger.load(file)
    assert len(tag_tracks(library, other).tagged) == 3
    assert library.tagger_of(titled(library, "hum")) == other.tagger_id


def test_an_interruption_loses_no_tags(library: Library, tagger: ClipTagger):
    def stop(_path: str, done: int, _total: int, _seconds: float) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tag_tracks(library, tagger, stop)
    library.release()
    with Library.open(library.path, writable=True) as again:
        assert again.tagger_of(titled(again, "hiss")) and not again.tagger_of(titled(again, "song"))
        assert [t.title for t in tag_tracks(again, tagger).tagged] == ["song"]


def test_files_that_are_gone_or_changed_are_reported(
    library: Library, tagger: ClipTagger, tmp_path: Path
):
    (tmp_path / "music/hiss.wav").unlink()
    os.utime(tmp_path / "music/song.wav", ns=(1, 1))
    report = tag_tracks(library, tagger)
    assert isinstance(report, TagReport) and not report.tagged
    gone, changed = report.failed
    assert "hiss.wav" in gone.path and "No such file" in gone.reason
    assert "has changed since it was indexed: index it again" in changed.reason
    assert [f["path"] for f in report.to_json()["failed"]] == [gone.path, changed.path]


def test_a_library_without_tags_is_as_before(library: Library, tagger: ClipTagger):
    """It gets the table when first needed, and older versions do not miss it."""
    library.close()
    assert "labels" not in tables(library.path)
    with Library.open(library.path) as opened:
        assert not opened.has_labels
        track = opened.tracks()[0]
        assert opened.labels_of(track) == {} and opened.tagger_of(track) is None
        with pytest.raises(LibraryError, match="not open for writing"):
            tag_tracks(opened, tagger)
    with Library.open(library.path, writable=True) as opened:
        opened.remove(titled(opened, "hiss").id)
    assert "labels" not in tables(library.path)
    with Library.open(library.path, writable=True) as opened:
        tag_tracks(opened, tagger)
    assert "labels" in tables(library.path)


def test_labels_go_with_their_track(library: Library, tagger: ClipTagger, tmp_path: Path):
    tag_tracks(library, tagger)
    hiss = library.remove(titled(library, "hiss").id)
    assert library.labels_of(hiss) == {}
    library.compact()
    library.close()
    with sqlite3.connect(library.path / "library.sqlite3") as db:
        assert len(db.execute("SELECT track FROM labels").fetchall()) == 1
    db.close()
    repair(library.path)
    with Library.open(library.path) as opened:
        assert opened.labels_of(titled(opened, "song"))


def test_labels_count_only_for_the_content_that_was_tagged(
    library: Library, tagger: ClipTagger, fingerprinter: Fingerprinter, tmp_path: Path
):
    tag_tracks(library, tagger)
    write_wav(tmp_path / "music/hiss.wav", clip("Hum", 31, 3.0).astype(np.float32))
    library.add_folder(tmp_path / "music", fingerprinter)
    assert library.labels_of(titled(library, "hiss")) == {}
    library.close()
    with Library.open(library.path, writable=True) as opened:
        assert opened.labels_of(titled(opened, "hiss")) == {}
        assert [t.title for t in tag_tracks(opened, tagger).tagged] == ["hiss"]
        assert next(iter(opened.labels_of(titled(opened, "hiss")))) == "Hum"
    with sqlite3.connect(library.path / "library.sqlite3") as db:  # by an older version
        db.execute("UPDATE tracks SET content_hash = 'another' WHERE title = 'hiss'")
    db.close()
    with Library.open(library.path) as opened:
        assert opened.labels_of(titled(opened, "hiss")) == {}
        assert opened.labels_of(titled(opened, "song"))


def test_a_track_that_is_gone_gets_no_labels(library: Library):
    track = library.remove(titled(library, "song").id)
    with pytest.raises(LibraryError, match="has no track number"):
        library.put_labels(track, of_probabilities("a tagger", {"Music": 0.9}))
    library.close()


def test_a_track_without_any_label_is_tagged_all_the_same(library: Library, tagger: ClipTagger):
    track = titled(library, "hiss")
    library.put_labels(track, of_probabilities(tagger.tagger_id, {}))
    assert library.labels_of(track) == {} and library.tagger_of(track) == tagger.tagger_id
    assert [t.title for t in tag_tracks(library, tagger).tagged] == ["song"]
    library.close()


@pytest.mark.parametrize("text", ["{", "[1]", '{"Music": "loud"}', '{"Music": null}', "3"])
def test_damaged_labels_are_told(library: Library, text: str):
    track = titled(library, "hiss")
    library.put_labels(track, of_probabilities("a tagger", {"Music": 0.9}))
    library.close()
    with sqlite3.connect(library.path / "library.sqlite3") as db:
        db.execute("UPDATE labels SET probabilities = ?", (text,))
    db.close()
    with Library.open(library.path) as opened:  # the music itself is as it was
        with pytest.raises(LibraryError, match="the labels of a track are damaged"):
            opened.labels_of(track)
        assert len(opened.tracks()) == 2
