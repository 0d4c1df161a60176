"""The writer's lock: one holder at a time, and none that outlives its process."""

import multiprocessing
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from grafprint.library import LibraryError
from grafprint.library.lock import WriterLock
from tests.paths import ROOT

HOLDER = """
import os, sys, time
from pathlib import Path
from grafprint.library.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
if os.fork() == 0:  # a child that lives on
    sys.stdin.close()
    os.close(1)
    time.sleep(5)
    os._exit(0)
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_holder_leaves_no_lock_although_its_child_lives_on(tmp_path: Path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(LibraryError, match=rf"by another program \(process {holder.pid}\)"):
            WriterLock(path)
        holder.kill()
    assert path.exists()
    WriterLock(path).release()
    assert not path.exists()


def test_a_forked_child_neither_has_the_lock_nor_releases_it(tmp_path: Path):
    path = tmp_path / "lock"

    def in_child() -> None:
        lock.release()
        with pytest.raises(LibraryError):
            WriterLock(path)

    with WriterLock(path) as lock:
        child = multiprocessing.get_context("fork").Process(target=in_child)
        child.start()
        child.join()
        assert child.exitcode == 0
        with pytest.raises(LibraryError):
            WriterLock(path)


def test_another_thread_may_release_it(tmp_path: Path):
    lock = WriterLock(tmp_path / "lock")
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    WriterLock(tmp_path / "lock").release()


def test_one_of_many_threads_gets_it_and_the_others_are_refused(tmp_path: Path):
    """Also in the moment between deleting the file and unlocking it."""
    path, holders, most = tmp_path / "lock", 0, 0
    end = time.monotonic() + 1

    def take_and_release() -> None:
        nonlocal holders, most
        while time.monotonic() < end:
            with suppress(LibraryError), WriterLock(path):
                holders += 1
                most = max(most, holders)
                time.sleep(0.0005)
                holders -= 1

    threads = [threading.Thread(target=take_and_release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, holders) == (1, 0)
