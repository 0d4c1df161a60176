"""Writers, the server and connections may die at any moment: nothing reported as added is lost."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from grafprint.errors import LibraryError
from grafprint.library import Track
from grafprint.matching import identify
from grafprint.remote.opening import create_library, open_library
from tests.libraries import Network, fill
from tests.remote.conftest import given, opened, wait_until
from tests.remote.writing import Writers, assert_no_leftovers, assert_nothing_lost

FAULTS = int(os.environ.get("GRAFPRINT_FAULTS", "8"))  # of each kind; more for a long run


@pytest.fixture
def writers():
    """Starts writers in processes of their own."""
    started = Writers()
    yield started
    started.stop()


def test_killed_writers_lose_nothing(address, writers, tmp_path):
    """Two at a time, killed at random moments; what they leave half done is cleaned up."""
    create_library(address, Network()).close()
    rng = random.Random(0)
    kept = 0
    for seed in range(0, FAULTS, 2):
        logs = {number: tmp_path / f"log {number}".replace(" ", "-") for number in (seed, seed + 1)}
        processes = [writers.start(address.url, number, log) for number, log in logs.items()]
        for process in processes:
            time.sleep(rng.uniform(0.02, 0.5))
            os.kill(process, signal.SIGKILL)
        with open_library(address, writable=True) as library:
            for number, log in logs.items():
                kept += assert_nothing_lost(library, log.read_text(), number)
            assert_no_leftovers(library)
            assert library.damaged() == []
    assert kept


def test_a_killed_server_loses_nothing(address, postgres):
    """Killed at random moments while a writer writes and a reader reads; both go on."""
    with create_library(address, Network()) as library:
        fill(library, given(3), 0)
    tracks = given(300, 7)
    added, stop, failures = [], threading.Event(), []

    def write():
        try:
            with open_library(address, writable=True) as library:
                for number, vectors in enumerate(tracks):
                    if stop.is_set():
                        return
                    fill(library, [vectors], 7000 + number)
                    added.append(number)
        except Exception as failure:
            failures.append(failure)

    asked = []

    def read():
        try:
            with open_library(address) as library:
                while not stop.is_set():
                    best = identify(library, given(3)[1][5:25]).best
                    assert best and best.track.title == "track 1"
                    asked.append(best)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for work in (write, read)]
    for thread in threads:
        thread.start()
    rng = random.Random(1)
    for _ in range(max(2, FAULTS // 3)):
        before = len(added)
        wait_until(lambda before=before: len(added) > before + 2 or bool(failures))
        time.sleep(rng.uniform(0, 0.2))
        postgres.kill()
        postgres.start()
    before, answered = len(added), len(asked)
    wait_until(lambda: (len(added) > before + 2 and len(asked) > answered) or bool(failures))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    with open_library(address, writable=True) as library:
        found = {track.title: track for track in library.tracks()}
        assert set(found) == {f"track {n}" for n in range(3)} | {f"track {7000 + n}" for n in added}
        for number in added:
            track = found[f"track {7000 + number}"]
            rows = np.arange(track.first, track.first + track.count)
            np.testing.assert_array_equal(library.vectors(rows), tracks[number])
        assert library.damaged() == []
        assert_no_leftovers(library)


def test_lost_connections_lose_nothing(address, postgres):
    """Cut by the server at random moments: between statements, in them, and in commits."""
    import psycopg

    tracks = given(90, 3)
    stop, done = threading.Event(), threading.Semaphore()
    cuts = []

    def cut():
        rng = random.Random(2)
        with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
            while not stop.is_set():
                done.acquire()  # once for each track: on a busy machine it would never get through
                time.sleep(rng.uniform(0, 0.03))
                cuts.extend(
                    server.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'grafprint' AND datname = %s",
                        (address.name,),
                    ).fetchall()
                )

    library = create_library(address, Network())
    thread = threading.Thread(target=cut)
    thread.start()
    try:
        kept: list[Track] = []
        for number, vectors in enumerate(tracks):
            (track,) = fill(library, [vectors], number)
            if number % 3 == 2:
                assert library.remove(kept.pop().id).title == f"track {number - 1}"
            kept.append(track)
            done.release()
            if number % 7 == 0:
                assert identify(library, vectors[3:25]).matches[0].track == track
    finally:
        stop.set()
        done.release()
        thread.join()
    assert len(cuts) > 10
    assert library.tracks() == kept
    assert len(library) == sum(track.count for track in kept)
    assert library.damaged() == []
    assert_no_leftovers(library)
    library.close()


def test_a_writer_that_vanishes_in_a_change_lets_others_go_on(address, monkeypatch):
    """Its connection stays open, but it says nothing more. If it comes back, it begins again."""
    from grafprint.remote import changes, database

    soon = {**database._SERVER_SIDE, "idle_in_transaction_session_timeout": "500ms"}
    with monkeypatch.context() as hasty:
        hasty.setattr(database, "_SERVER_SIDE", soon)
        create_library(address, Network()).close()
        vanished = opened(address)
    began, go_on, calls = threading.Event(), threading.Event(), []

    def work(connection):
        changes.begin(connection)
        calls.append(1)
        began.set()
        go_on.wait(60)
        return connection.execute("SELECT 7").fetchone()

    with opened(address) as library, ThreadPoolExecutor() as threads:
        done = threads.submit(vanished.database.change, work)
        assert began.wait(60)
        started = time.monotonic()
        (track,) = fill(library, given(1))
        assert 0.2 < time.monotonic() - started < 30 and library.tracks() == [track]
        go_on.set()
        assert done.result(60) == (7,) and len(calls) == 2
        server_side = library.database.rows(
            "SELECT name, setting::int FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
            (list(database._SERVER_SIDE),),
        )
    assert [setting for _, setting in server_side] == [600_000, 3, 30, 10, 30_000]
    vanished.release()


def test_a_connection_lost_late_in_a_long_call_is_made_again(address, monkeypatch):
    from grafprint.remote import database

    monkeypatch.setattr(database, "PATIENCE_S", 0.5)
    calls = []

    def work(connection):
        calls.append(1)
        if len(calls) == 1:
            connection.execute("SELECT pg_sleep(0.6)")
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return connection.execute("SELECT 7").fetchone()

    with create_library(address, Network()) as library:
        assert library.database.change(work) == (7,)  # type: ignore[union-attr]
    assert len(calls) == 2


def test_a_server_that_stays_away_is_reported(address, postgres, monkeypatch):
    from grafprint.remote import database

    monkeypatch.setattr(database, "PATIENCE_S", 0.5)
    library = create_library(address, Network())
    fill(library, given(1))
    postgres.kill()
    try:
        with pytest.raises(LibraryError, match="cannot be reached"):
            fill(library, given(2)[1:], 1)
        with pytest.raises(LibraryError, match="cannot be reached"):
            open_library(address)
    finally:
        postgres.start()
    library.rollback_rows()
    fill(library, given(2)[1:], 1)
    assert [track.title for track in library.tracks()] == ["track 0", "track 1"]
    library.close()
