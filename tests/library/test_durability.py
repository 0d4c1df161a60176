"""Libraries survive interrupts, full disks, damage, other programs and read-only folders."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from grafprint.library import Library, LibraryError, add_folder
from grafprint.library.vectors import VectorStore
from grafprint.matching import identify
from tests.libraries import Network, excerpt, fill, walk, write_music, write_wav
from tests.paths import ROOT

ROWS = 40  # of each synthetic track


@pytest.fixture
def tracks():
    rng = np.random.default_rng(0)
    return [walk(rng, ROWS) for _ in range(4)]


@pytest.fixture
def path(tmp_path, tracks):
    """A closed library of four synthetic tracks with a saved index."""
    with Library.create(tmp_path / "library", Network(), factory="IVF8,SQ8") as library:
        fill(library, tracks)
    return tmp_path / "library"


def assert_whole(library, tracks, numbers=range(4)):
    """Check that every track exists, has its own vectors, and is identified."""
    by_title = {track.title: track for track in library.tracks()}
    assert set(by_title) == {f"track {n}" for n in numbers}
    for n in numbers:
        track = by_title[f"track {n}"]
        rows = np.arange(track.first, track.first + track.count)
        np.testing.assert_array_equal(library.vectors(rows), tracks[n])
        best = identify(library, tracks[n][10:20]).matches[0]
        assert (best.track, round(best.start_s / library.hop_s)) == (track, 10)


# Interrupts -----------------------------------------------------------------------------------


def test_interrupted_in_the_middle_of_a_file(tmp_path, fingerprinter, monkeypatch):
    monkeypatch.setattr(add_folder, "LONG_S", 35.0)
    write_music(tmp_path / "music", 2)
    write_wav(tmp_path / "music" / "track 00.wav", excerpt(5, 0, 40.0))

    def interrupt(path, done, total, audio_s):
        if audio_s >= 30:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Library.create(tmp_path / "library", fingerprinter) as library,
    ):
        library.add(tmp_path / "music" / "track 1.wav", fingerprinter)
        library.add_folder(tmp_path / "music", fingerprinter, interrupt)
    with Library.open(tmp_path / "library", writable=True) as library:
        assert [t.title for t in library.tracks()] == ["track 1", "track 0"]
        assert library.rows == len(library) == 22
        assert (library.path / "fingerprints.f16").stat().st_size == 22 * 256
        assert library.add(tmp_path / "music" / "track 0.wav", fingerprinter).status == "unchanged"


def test_interrupted_right_after_the_commit_nothing_is_lost(path, tracks, monkeypatch):
    """The worst moment: SQLite has the track, and the program does not know yet."""
    more = walk(np.random.default_rng(9), ROWS)
    commit = VectorStore.commit

    def interrupted(self):
        monkeypatch.setattr(VectorStore, "commit", commit)
        raise KeyboardInterrupt

    with Library.open(path, writable=True) as library:
        monkeypatch.setattr(VectorStore, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(library, [more], 4)
        assert_whole(library, [*tracks, more], range(5))
        fill(library, [tracks[0][::-1].copy()], 5)  # does not overwrite it
        assert_whole(library, [*tracks, more, tracks[0][::-1]], range(6))
    with Library.open(path, writable=True) as library:
        library.remove(2)
        monkeypatch.setattr(VectorStore, "commit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            library.compact()
        assert library.rows == 5 * ROWS
        assert library.compact() == 0
    with Library.open(path) as library:
        left = [tracks[0], tracks[2], tracks[3], more]
        assert len(library) == library.rows == 5 * ROWS
        for track, vectors in zip(library.tracks(), left, strict=False):
            rows = np.arange(track.first, track.first + track.count)
            np.testing.assert_array_equal(library.vectors(rows), vectors)


def test_leftovers_of_a_killed_write_are_cut_off(path, tracks):
    (path / "fingerprints.1.f16").write_bytes(b"half a compaction")
    with (path / "fingerprints.f16").open("ab") as file:
        file.write(b"half a track")
    with Library.open(path) as library:
        assert_whole(library, tracks)
    with Library.open(path, writable=True) as library:
        assert (path / "fingerprints.f16").stat().st_size == 4 * ROWS * 256
        assert not (path / "fingerprints.1.f16").exists()
        assert_whole(library, tracks)


# Full disks -----------------------------------------------------------------------------------


class file_size_limit:
    """Limits the size of this process's files, which looks like a full disk."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


def test_a_full_disk_stops_indexing_and_harms_nothing(tmp_path, fingerprinter):
    write_music(tmp_path / "music", 4)
    with Library.create(tmp_path / "library", fingerprinter) as library:
        # Room for the database, and for 32 fingerprints more; each file has 11.
        room = (tmp_path / "library" / "library.sqlite3").stat().st_size + (64 << 10)
        first = fill(library, [walk(np.random.default_rng(0), room // 256 - 32)])[0]
        with (
            file_size_limit(room),
            pytest.raises(LibraryError, match=r"the disk is full.*what was stored before is kept"),
        ):
            library.add_folder(tmp_path / "music", fingerprinter)
        titles = [track.title for track in library.tracks()]
        assert titles == ["track 0", "track 0", "track 1"]
        assert library.rows == len(library)
        report = library.add_folder(tmp_path / "music", fingerprinter)
        assert [Path(name).name for name in report.added] == ["track 2.wav", "track 3.wav"]
        assert library.tracks()[0] == first
        query = fingerprinter(excerpt(3, 20, 2.0))
        assert identify(library, query).matches[0].track.title == "track 3"


def test_a_full_disk_when_sqlite_commits(path, tracks):
    with Library.open(path, writable=True) as library:
        size = (path / "library.sqlite3").stat().st_size
        with file_size_limit(size), pytest.raises(LibraryError, match="the disk is full"):
            # Texts that need more pages than the database has.
            fill(library, [tracks[0][:2]] * 200, 4)
        kept = len(library.tracks())
        assert 4 <= kept < 204
        assert library.rows == len(library) == 4 * ROWS + 2 * (kept - 4)
        fill(library, [walk(np.random.default_rng(1), ROWS)], kept)
    with Library.open(path) as library:
        assert len(library.tracks()) == kept + 1


def test_a_full_disk_when_the_index_is_saved(path, tracks):
    before = (path / "index.faiss").read_bytes()
    with Library.open(path, writable=True) as library:
        more = [walk(np.random.default_rng(n), ROWS) for n in range(10, 14)]
        fill(library, more, 4)
        with file_size_limit(len(before)), pytest.raises(LibraryError, match="the disk is full"):
            library.finish()
        assert (path / "index.faiss").read_bytes() == before
        assert not list(path.glob("*.partial"))
        assert_whole(library, tracks + more, range(8))
    assert (path / "index.faiss").read_bytes() != before


def test_a_full_disk_when_compacting(path, tracks):
    with Library.open(path, writable=True) as library:
        library.remove(1)
        with file_size_limit(ROWS * 256), pytest.raises(LibraryError, match="the disk is full"):
            library.compact()
        assert len(list(path.glob("*.f16"))) == 1
        assert_whole(library, tracks, [1, 2, 3])
        assert library.compact() == ROWS
        assert_whole(library, tracks, [1, 2, 3])


# Several programs -----------------------------------------------------------------------------


def test_a_second_writer_is_refused(path, tracks):
    script = "from grafprint.library import *; import sys; Library.open(sys.argv[1], writable=True)"
    command = [sys.executable, "-c", script, str(path)]
    with Library.open(path, writable=True) as library:
        with pytest.raises(LibraryError, match=rf"by another program \(process {os.getpid()}\)"):
            Library.open(path, writable=True)
        other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert "is being written to by another program" in other.stderr
        with Library.open(path) as reader:  # reading is fine
            assert_whole(reader, tracks)
        assert_whole(library, tracks)
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    with Library.open(path, writable=True):
        pass
    assert not (path / "lock").exists()


def test_a_reader_keeps_the_state_it_opened(path, tracks):
    with Library.open(path) as reader:
        with Library.open(path, writable=True) as library:
            fill(library, [walk(np.random.default_rng(5), ROWS)], 4)
            library.remove(1)
            library.remove(2)
            library.compact()
        assert_whole(reader, tracks)
    with Library.open(path) as reader:
        assert [t.title for t in reader.tracks()] == ["track 2", "track 3", "track 4"]


def test_a_reader_changes_nothing(path, fingerprinter):
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with Library.open(path) as library:
        for change in (
            lambda: library.remove(1),
            lambda: library.compact(),
            lambda: library.finish(),
            lambda: library.add("a.wav", fingerprinter),
            lambda: library.add_folder(path, fingerprinter),
        ):
            with pytest.raises(LibraryError, match="not open for writing"):
                change()
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


READER = """
import os, sys
import filelock
import numpy as np
from grafprint.library import Library, LibraryError
from grafprint.matching import identify
with Library.open(sys.argv[1]) as library:
    query = library.vectors(np.arange(50, 60))
    identify(library, query)  # now every module is loaded
if os.geteuid() == 0:  # for root nothing is read-only
    os.seteuid(65534)
with Library.open(sys.argv[1]) as library:
    print(identify(library, query).matches[0].track.title)
try:
    Library.open(sys.argv[1], writable=True)
except LibraryError as error:
    print(error)
"""


@pytest.mark.parametrize("index", ["saved", "stale"])
def test_a_read_only_folder_can_be_searched(path, tmp_path_factory, index):
    if index == "stale":
        (path / "index.faiss").write_bytes(b"")
    for file in path.iterdir():
        file.chmod(0o444)
    path.chmod(0o555)
    temporary = tmp_path_factory.getbasetemp().parents[1]
    for parent in path.parents:
        private = parent.stat().st_mode & 0o777 == 0o700  # as pytest makes them
        if private and parent.is_relative_to(temporary):
            parent.chmod(0o755)
    command = [sys.executable, "-c", READER, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "track 1"
    assert "the folder is read-only; copy the library" in done.stdout


# Other networks, other versions, damage -------------------------------------------------------


def test_another_network_is_refused(path, fingerprinter):
    with pytest.raises(LibraryError, match=r"made with network given vectors.*index the music aga"):
        Library.open(path, model_id=fingerprinter.model_id)
    with Library.open(path, writable=True) as library:  # the lock was not kept
        for add in (library.add, library.add_folder):
            with pytest.raises(LibraryError, match="made with network given vectors"):
                add(path, fingerprinter)
    Library.open(path, model_id="given vectors").close()


def test_a_newer_format_is_refused(path):
    with sqlite3.connect(path / "library.sqlite3") as database:
        database.execute("PRAGMA user_version = 3")
    database.close()
    with pytest.raises(LibraryError, match=r"of format 3, .*reads up to 2: update GraFPrint"):
        Library.open(path)


def test_an_older_format_is_read_and_upgraded(path, tracks):
    with sqlite3.connect(path / "library.sqlite3") as database:
        database.execute("ALTER TABLE tracks DROP COLUMN crc32")
        database.execute("PRAGMA user_version = 1")
    database.close()
    before = (path / "library.sqlite3").read_bytes()
    with Library.open(path) as library:  # reading changes nothing
        assert_whole(library, tracks)
        assert set(library.catalogue.checksums.values()) == {None}
    assert (path / "library.sqlite3").read_bytes() == before
    with Library.open(path, writable=True) as library:
        assert_whole(library, tracks)
    with Library.open(path) as library:
        assert None not in library.catalogue.checksums.values()
        assert library.damaged() == []


def test_no_library_and_one_already(path, tmp_path):
    with pytest.raises(LibraryError, match=r"there is no library in .*grafprint index"):
        Library.open(tmp_path / "nothing")
    with pytest.raises(LibraryError, match="there is no library in"):
        Library.open(tmp_path, writable=True)
    with pytest.raises(LibraryError, match=r"there is a library in .* already"):
        Library.create(path, Network())
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="cannot write"):
        Library.create(tmp_path / "file", Network())
    with pytest.raises(ValueError, match="not an index that FAISS can make"):
        Library.create(tmp_path / "new", Network(), factory="IVF,PQ9")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("harm", ["garbage", "cut", "empty", "page", "no table", "no meta", "json"])
@pytest.mark.parametrize("writable", [False, True])
def test_a_damaged_database_is_refused(path, harm, writable):
    file = path / "library.sqlite3"
    content = bytearray(file.read_bytes())
    if harm in ("no table", "no meta", "json"):
        with sqlite3.connect(file) as database:
            database.execute(
                {
                    "no table": "DROP TABLE files",
                    "no meta": "DELETE FROM meta WHERE key = 'rows'",
                    "json": "UPDATE meta SET value = '{'",
                }[harm]
            )
        database.close()
    else:
        content[4096:8192] = b"\xff" * 4096
        damaged = {"garbage": b"no database" * 999, "cut": content[:5000], "empty": b""}
        file.write_bytes(damaged.get(harm, content))
    expected = "is not a GraFPrint library" if harm == "empty" else "is damaged.*restore"
    for _ in range(2):  # also the second time: no lock is left behind
        with pytest.raises(LibraryError, match=expected):
            Library.open(path, writable=writable)


@pytest.mark.parametrize("harm", ["cut", "missing"])
def test_damaged_fingerprints_are_refused(path, harm):
    file = path / "fingerprints.f16"
    if harm == "cut":
        file.write_bytes(file.read_bytes()[:-2])
    else:
        file.unlink()
    for writable in (False, True):
        with pytest.raises(LibraryError, match=r"is damaged: it has|lacks fingerprints.f16"):
            Library.open(path, writable=writable)


@pytest.mark.parametrize("harm", ["flipped", "cut", "missing", "no record", "another's"])
def test_a_damaged_index_is_rebuilt(path, tracks, harm, tmp_path):
    index, record = path / "index.faiss", path / "index.json"
    good = index.read_bytes()
    if harm == "flipped":
        index.write_bytes(good[:1000] + bytes([good[1000] ^ 255]) + good[1001:])
    elif harm == "cut":
        index.write_bytes(good[: len(good) // 2])
    elif harm == "missing":
        index.unlink()
    elif harm == "no record":
        record.unlink()
    else:
        with Library.create(tmp_path / "other", Network(), factory="IVF8,SQ8") as other:
            fill(other, tracks[::-1])
        shutil.copy(tmp_path / "other" / "index.faiss", index)
        shutil.copy(tmp_path / "other" / "index.json", record)
    with Library.open(path) as library:
        assert_whole(library, tracks)
    with Library.open(path, writable=True) as library:
        assert_whole(library, tracks)
        library.finish()
    if harm not in ("flipped", "cut"):
        assert index.read_bytes() == good
    with Library.open(path) as library:
        assert_whole(library, tracks)
