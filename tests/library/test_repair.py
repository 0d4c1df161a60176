"""Damage is noticed before it can give a wrong answer, and intact tracks can be recovered."""

import numpy as np
import pytest
from typer.testing import CliRunner

from grafprint.cli import app
from grafprint.library import Library, LibraryError, folder
from grafprint.library.index import index_file
from grafprint.library.repair import repair
from grafprint.matching import identify
from tests.libraries import Network, excerpt, fill, walk, write_wav

ROWS, BYTES = 40, 256  # of each track, of each row


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    return [walk(rng, ROWS) for _ in range(4)]


@pytest.fixture
def path(tmp_path, tracks):
    """A closed library of four synthetic tracks."""
    with Library.create(tmp_path / "library", Network()) as library:
        fill(library, tracks)
    return tmp_path / "library"


def flip(file, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_one_flipped_bit_is_noticed_at_opening(path):
    flip(path / "fingerprints.f16", (2 * ROWS + 7) * BYTES + 3)
    for writable in (False, True):
        with pytest.raises(LibraryError, match=r"'track 2' are not.*grafprint library repair"):
            Library.open(path, writable=writable)


def test_a_large_library_is_checked_when_a_track_is_named(path, tracks, monkeypatch):
    monkeypatch.setattr(folder, "CHECKED_AT_OPENING", ROWS)
    flip(path / "fingerprints.f16", (2 * ROWS + 39) * BYTES)
    with Library.open(path) as library:
        assert identify(library, tracks[0][5:15], top_k=1).matches[0].track.title == "track 0"
        with pytest.raises(LibraryError, match="'track 2'"):
            identify(library, tracks[2][5:15], top_k=1)
        assert [track.title for track in library.damaged()] == ["track 2"]


def test_damaged_tracks_are_dropped_and_the_rest_is_kept(path, tracks):
    flip(path / "fingerprints.f16", ROWS * BYTES)
    done = repair(path)
    assert [t.title for t in done.lost] == ["track 1"] and len(done.kept) == 3
    assert not done.from_backup
    with Library.open(path) as library:
        for number in (0, 2, 3):
            best = identify(library, tracks[number][10:20]).matches[0]
            assert best.track.title == f"track {number}"
    again = repair(path)
    assert (len(again.kept), again.lost) == (3, [])


@pytest.mark.parametrize("left", [0, 1, ROWS * BYTES - 1, 3 * ROWS * BYTES + 5])
def test_a_truncated_file(path, left):
    file = path / "fingerprints.f16"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(LibraryError, match="is damaged"):
        Library.open(path)
    whole = left // (ROWS * BYTES)
    done = repair(path)
    assert len(done.kept) == whole and len(done.lost) == 4 - whole
    with Library.open(path, writable=True) as library:
        fill(library, [walk(np.random.default_rng(9), ROWS)], first_number=9)
        assert len(library.tracks()) == whole + 1


@pytest.mark.parametrize("harm", ["garbage", "empty", "missing", "page"])
def test_a_damaged_database_is_restored_from_its_backup(path, tracks, harm):
    file = path / "library.sqlite3"
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes({"garbage": b"none" * 5000, "empty": b""}.get(harm, bytes(content)))
    with pytest.raises(LibraryError):
        Library.open(path)
    done = repair(path)
    assert done.from_backup and len(done.kept) == 4 and done.lost == []
    with Library.open(path) as library:
        assert identify(library, tracks[3][10:20]).matches[0].track.title == "track 3"


def test_the_backup_is_of_the_last_write_that_finished(path, tracks):
    with Library.open(path, writable=True) as library:
        library.remove(library.tracks()[0].id)
    (path / "library.sqlite3").unlink()
    assert {track.title for track in repair(path).kept} == {f"track {n}" for n in (1, 2, 3)}


def test_without_a_backup_nothing_can_be_recovered(path, tmp_path):
    (path / "library.sqlite3").write_bytes(b"none" * 5000)
    (path / folder.BACKUP).write_bytes(b"none" * 5000)
    with pytest.raises(LibraryError, match="backup is damaged or missing"):
        repair(path)
    assert (path / "library.sqlite3").read_bytes() == b"none" * 5000
    with pytest.raises(LibraryError, match="there is no library"):
        repair(tmp_path / "nowhere")


def test_a_library_in_use_is_left_alone(path):
    with Library.open(path, writable=True), pytest.raises(LibraryError, match="writ"):
        repair(path)


def test_indexing_again_restores_lost_tracks(tmp_path, fingerprinter):
    music = tmp_path / "music"
    music.mkdir()
    for number in (1, 2):
        write_wav(music / f"{number}.wav", excerpt(number, 5.0, 2.0))
    with Library.create(tmp_path / "library", fingerprinter) as library:
        library.add_folder(music, fingerprinter)
        first = library.tracks()[0]
    flip(tmp_path / "library" / "fingerprints.f16", first.first * BYTES)
    place = ["--library", str(tmp_path / "library")]
    run = CliRunner().invoke
    assert run(app, ["library", "check", *place]).exit_code != 0
    result = run(app, ["library", "repair", *place])
    assert "1 tracks kept, 1 lost" in result.stdout and f"lost: {first.title}" in result.stdout
    assert "1 tracks, all as they were written" in run(app, ["library", "check", *place]).stdout
    with Library.open(tmp_path / "library", writable=True) as library:
        report = library.add_folder(music, fingerprinter)
        assert (len(report.added), len(report.unchanged)) == (1, 1)
        assert library.damaged() == []


def test_a_check_reads_the_index_too(tmp_path, monkeypatch):
    """Nothing else checks a large index; a search that meets the damage continues without it."""
    vectors = walk(np.random.default_rng(0), 2000)
    with Library.create(tmp_path / "library", Network(), factory="IVF8,SQ8") as library:
        fill(library, [vectors])
    check = ["library", "check", "--library", str(tmp_path / "library")]
    assert "1 tracks, all as they were written" in CliRunner().invoke(app, check).stdout
    index = tmp_path / "library" / "index.faiss"
    content = bytearray(index.read_bytes())
    content[-4000:] = b"\xff\x7f" * 2000  # ids, of no rows
    index.write_bytes(content)
    monkeypatch.setattr(index_file, "CHECKED_BYTES", 0)
    with Library.open(tmp_path / "library") as library:
        best = identify(library, vectors[100:130]).matches[0]
        assert best.start_s == pytest.approx(9.6, abs=0.01)
        assert (library.search(vectors[:500], 2000)[1] > 2000).any()
    result = CliRunner().invoke(app, check)
    assert result.exit_code != 0
    assert "index is damaged: delete" in str(result.exception)
    index.unlink()
    assert CliRunner().invoke(app, check).exit_code == 0
