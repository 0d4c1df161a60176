"""Indexing may be killed or run out of disk at any moment: nothing reported as added is lost."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grafprint import audio
from grafprint.library import Library
from grafprint.matching import identify
from tests.libraries import write_music, write_wav
from tests.paths import ROOT

FAULTS = int(os.environ.get("GRAFPRINT_FAULTS", "8"))  # of each kind; more for a long run
TRACKS = 5
KILLED, FULL = 9, 3

# Loads the network once. For each line it reads, it indexes in a fork, which it may kill or whose
# file sizes it may limit. The fork records what is reported as added.
INDEXER = """
import os, resource, sys, time
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, LibraryError
import torch
torch.set_num_threads(1)
network = Fingerprinter.load()
print("ready", flush=True)
for line in sys.stdin:
    music, place, kill_after_s, room = line.strip().split("\\t")
    child = os.fork()
    if child == 0:
        report = os.open(place + ".reported", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        def note(path, done, total, audio_s):
            os.pwrite(report, b"%d" % done, 0)
        if int(room):
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), resource.RLIM_INFINITY))
        try:
            exists = os.path.exists(place + "/library.sqlite3")
            library = (Library.open(place, writable=True) if exists
                       else Library.create(place, network, factory="IVF4,SQ8"))
            with library:
                library.add_folder(music, network, note)
        except LibraryError as failure:
            if "disk is full" in str(failure):
                os._exit(3)
            raise
        os._exit(0)
    if float(kill_after_s):
        time.sleep(float(kill_after_s))
        os.kill(child, 9)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Indexer:
    """The indexing process and its music."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder
        self.music = folder / "music"
        write_music(self.music, TRACKS)
        write_wav(self.music / "silence.wav", np.zeros(2 * audio.SAMPLE_RATE, np.float32))
        self.uninterrupted = self.place("uninterrupted")
        assert self(self.uninterrupted) == 0
        shutil.rmtree(self.uninterrupted)  # the first run takes longer
        began = time.monotonic()
        assert self(self.uninterrupted) == 0
        self.takes_s = time.monotonic() - began

    def place(self, name: str) -> Path:
        """The path of a library beside the music, so that all store the same relative paths."""
        return self._folder / name

    def __call__(self, place: Path, kill_after_s: float = 0.0, room: int = 0) -> int:
        """Index in another process; returns its exit status."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{self.music}\t{place}\t{kill_after_s}\t{room}\n")
        return int(self._process.stdout.readline())

    def check(self, place: Path) -> None:
        """Check that the library can be read and has each reported track once, intact."""
        report = Path(f"{place}.reported")
        done = int(report.read_text() or 0) if report.exists() else 0
        files = sorted(path.stem for path in self.music.iterdir())
        reported = set(files[:done]) - {"silence"}
        if not (place / "library.sqlite3").exists():
            assert not reported
            return
        with Library.open(place) as library:  # which checks every track's checksum
            titles = [track.title for track in library.tracks()]
            assert reported <= set(titles) and len(titles) == len(set(titles))
            for track in library.tracks():
                rows = np.arange(track.first, track.first + track.count)
                assert library.vectors(rows).any(axis=1).all()


@pytest.fixture(scope="module")
def indexer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexer]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", INDEXER],
        cwd=ROOT,
        env=environment,
        text=True,
        bufsize=1,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Indexer(process, tmp_path_factory.mktemp("indexer"))
        process.stdin.close()


def assert_as_if_nothing_had_happened(indexer: Indexer, place: Path) -> None:
    assert indexer(place) == 0
    indexer.check(place)
    with Library.open(indexer.uninterrupted) as wanted, Library.open(place) as resumed:
        assert [t.title for t in wanted.tracks()] == [f"track {n}" for n in range(TRACKS)]
        assert resumed.tracks() == wanted.tracks()
        assert resumed.rows == wanted.rows
        query = wanted.vectors(np.arange(11, 22))
        assert identify(resumed, query).matches[0].track.title == "track 1"
    for name in ("fingerprints.f16", "index.faiss"):
        assert (place / name).read_bytes() == (indexer.uninterrupted / name).read_bytes()


def test_a_killed_run_leaves_no_trace_once_it_is_run_again(indexer: Indexer):
    rng, place, killed = random.Random(0), indexer.place("killed"), 0
    for number in range(FAULTS):
        if number % 4 == 0:  # from scratch, then killed several times
            shutil.rmtree(place, ignore_errors=True)
        status = indexer(place, rng.uniform(0.001, indexer.takes_s))
        assert status in (0, -KILLED)
        killed += status == -KILLED
        indexer.check(place)
        if status == 0:  # it finished before it was killed
            shutil.rmtree(place)
    assert killed >= FAULTS / 4
    assert_as_if_nothing_had_happened(indexer, place)


def test_a_full_disk_leaves_no_trace_once_there_is_room_again(indexer: Indexer):
    largest = max(path.stat().st_size for path in indexer.uninterrupted.iterdir())
    rng, place, full = random.Random(1), indexer.place("full"), 0
    for number in range(FAULTS):
        if number % 4 == 0:
            shutil.rmtree(place, ignore_errors=True)
        status = indexer(place, room=rng.randrange(1, largest + 4096))
        assert status in (0, FULL), status
        full += status == FULL
        indexer.check(place)
    assert full >= FAULTS / 4
    assert_as_if_nothing_had_happened(indexer, place)
