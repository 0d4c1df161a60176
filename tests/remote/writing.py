"""A writer of its own process, which tests kill: adds tracks of given vectors, and says so."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from grafprint.library import Library
from grafprint.remote.address import place_of
from grafprint.remote.opening import open_library
from tests.libraries import fill
from tests.paths import ROOT
from tests.remote.conftest import given

MOST = 400
REMOVED = 5  # every so many tracks, the one before is removed again


class Writers:
    """Starts writers that are forked from one process, which has imported all they need."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.remote.writing"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, address: str, seed: int, log: Path) -> int:
        """Start a writer, which says in ``log`` what it has done; returns its process id."""
        assert self._process.stdin and self._process.stdout
        print(address, seed, log, file=self._process.stdin, flush=True)
        number = int(self._process.stdout.readline())
        while not (log.exists() and log.read_text().startswith("ready")):
            time.sleep(0.01)
        return number

    def stop(self) -> None:
        """End the process that the writers are forked from."""
        self._process.kill()
        self._process.communicate()


def write(address: str, seed: int, log: Path) -> None:
    """Add tracks and remove some; a line for each once the call has returned."""
    vectors = given(MOST, seed)
    with (
        log.open("w", buffering=1) as out,
        open_library(place_of(address), writable=True) as library,
    ):
        print("ready", file=out)
        last = None
        for number in range(MOST):
            (track,) = fill(library, [vectors[number]], 1000 * seed + number)
            print("added", number, file=out)
            if number % REMOVED == REMOVED - 1 and last is not None:
                print("removing", number - 1, file=out)
                library.remove(last.id)
                print("removed", number - 1, file=out)
            last = track


def serve() -> None:
    """Fork a writer for each line of standard input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        address, seed, log = line.split()
        if not (child := os.fork()):
            write(address, int(seed), Path(log))
            os._exit(0)
        print(child, flush=True)


def said(output: str, seed: int) -> tuple[set[int], set[int], set[int]]:
    """Numbers of the tracks that are added, removed, and perhaps removed."""
    lines = [line.split() for line in output.splitlines()]
    by_kind: dict[str, set[int]] = {"added": set(), "removing": set(), "removed": set()}
    for kind, number in (line for line in lines if len(line) == 2):
        by_kind[kind].add(1000 * seed + int(number))
    return by_kind["added"], by_kind["removed"], by_kind["removing"]


def assert_nothing_lost(library, output: str, seed: int) -> int:
    """Check the library against what a writer has said; returns how many tracks it has of it."""
    added, removed, removing = said(output, seed)
    vectors = given(MOST, seed)
    tracks = {int(track.title.split()[1]): track for track in library.tracks()}
    own = {n: t for n, t in tracks.items() if n // 1000 == seed}
    assert added - removing <= set(own), "a track that was reported as added is lost"
    assert not removed & set(own), "a track that was reported as removed is there"
    assert len(set(own) - added) <= 1  # stored, but not reported yet
    for number, track in own.items():
        rows = np.arange(track.first, track.first + track.count)
        np.testing.assert_array_equal(library.vectors(rows), vectors[number - 1000 * seed])
    assert len(library) == sum(track.count for track in tracks.values())
    return len(own)


def assert_no_leftovers(library) -> None:
    """Check that no rows are stored but those of tracks, once a writer has finished."""
    assert not isinstance(library, Library)
    library.finish()
    (parts,) = library.database.rows("SELECT count(*) FROM grafprint.parts")[0]
    assert parts == len(library.tracks())
    for table in ("pending", "garbage"):
        assert library.database.rows(f"SELECT count(*) FROM grafprint.{table}") == [(0,)]


if __name__ == "__main__":
    import grafprint.remote.library

    with suppress(ModuleNotFoundError):
        import grafprint.remote.milvus  # noqa: F401
    serve()
