"""Programs index the parts of one folder at once, into one library; one of them is killed."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from grafprint.errors import LibraryError
from grafprint.library import Library
from grafprint.library.part import Part
from grafprint.remote import schema
from grafprint.remote.address import Address
from grafprint.remote.opening import create_library, delete_new, is_there, open_library
from tests.cli.commands import grafprint
from tests.libraries import Network, fill, write_music
from tests.library.test_part import assert_same_tracks
from tests.paths import ROOT
from tests.remote.conftest import given, wait_until
from tests.remote.writing import assert_no_leftovers

PARTS = 3
PATIENCE_S = 600.0  # on a busy machine


def start(folder, address: Address, number: int) -> subprocess.Popen:
    """Start the command for a part, in a process of its own."""
    arguments = ["index", folder, "--library", address, "--part", f"{number}/{PARTS}", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "grafprint", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen) -> dict:
    """What the command says at its end."""
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return json.loads(output)


def test_parts_at_once_make_the_library_of_one_program(address, tmp_path, fingerprinter):
    """They find no library, and one of them makes it. The killed one is done again."""
    files = write_music(tmp_path / "music", 24, 4.0)
    copy = tmp_path / "music" / "copies" / "copy.wav"
    copy.parent.mkdir()
    copy.write_bytes(files[5].read_bytes())
    processes = [start(tmp_path / "music", address, number) for number in range(1, PARTS + 1)]
    music = tmp_path / "music"
    first = {str(file) for file in [*files, copy] if Part(1, PARTS).has_file(file, music)}
    wait_until(lambda: is_there(address) and first & paths(address), processes[0], PATIENCE_S)
    os.kill(processes[0].pid, signal.SIGKILL)
    assert processes[0].wait() == -signal.SIGKILL
    kept = first & paths(address)
    reports = [finish(process) for process in processes[1:]]
    assert kept < first, "it was killed too late"
    reports.append(finish(start(tmp_path / "music", address, 1)))
    assert set(reports[-1]["added"]) | kept >= first - {str(files[5]), str(copy)}

    added = [path for report in reports for path in report["added"]]
    assert len(added) == len(set(added)) == 24 - len(kept)
    others = [path for r in reports for kind in ("unchanged", "duplicates") for path in r[kind]]
    assert sorted([*added, *others]) == sorted(map(str, [*files, copy]))
    with (
        Library.create(tmp_path / "one", fingerprinter) as one,
        open_library(address, writable=True) as library,
    ):
        one.add_folder(tmp_path / "music", fingerprinter)
        assert_same_tracks(one, library)
        assert sum(len(library.catalogue.paths_of(t.id)) for t in library.tracks()) == 25
        assert library.damaged() == []
        assert_no_leftovers(library)


def paths(address: Address) -> set[str]:
    """The first file of each track."""
    with open_library(address) as library:
        return {track.path for track in library.tracks()}


def test_of_programs_that_find_no_library_one_makes_it(address):
    """The others learn of it although they looked before it was there."""
    import psycopg

    from grafprint.remote.database import one
    from grafprint.remote.founding import make_tables

    with (
        psycopg.connect(address.url, autocommit=True) as holder,
        ThreadPoolExecutor() as threads,
    ):
        holder.execute("SELECT pg_advisory_lock(%s, 0)", (schema.WRITERS,))
        made = [threads.submit(make_tables, address, Network()) for _ in range(4)]
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: one(holder, waiting) == (len(made),), patience_s=PATIENCE_S)
        holder.execute("SELECT pg_advisory_unlock(%s, 0)", (schema.WRITERS,))
        failures = [f for future in made if (f := future.exception(PATIENCE_S)) is not None]
    assert [type(failure) for failure in failures] == [LibraryError] * 3
    assert all("already" in str(failure) for failure in failures)
    assert paths(address) == set()


def test_a_part_that_has_no_usable_file_leaves_the_library_to_the_others(address, tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "noise.wav").write_bytes(b"no sound")
    grafprint("index", tmp_path / "music", "-l", address, "--part", "1/1", status=2)
    assert is_there(address)


def test_a_new_library_that_others_use_is_not_deleted(address):
    with create_library(address, Network()) as other:
        delete_new(address)
        fill(other, given(1))
    delete_new(address)
    assert len(paths(address)) == 1
    with open_library(address, writable=True) as library:
        library.remove(library.tracks()[0].id)
    delete_new(address)
    assert not is_there(address)
