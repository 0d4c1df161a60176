"""A library that Milvus searches: the same answers, and the index may be lost."""

import os
import random
import signal
import threading
import time

import numpy as np
import pytest

from grafprint.errors import ConfigError, LibraryError
from grafprint.library import Library
from grafprint.matching import identify, identify_many
from grafprint.remote.address import Address
from grafprint.remote.opening import create_library, open_library
from tests.libraries import Network, fill, unit
from tests.paths import ASSETS
from tests.remote.conftest import ROWS, assert_same_answer, given, opened
from tests.remote.writing import Writers, assert_no_leftovers, assert_nothing_lost

pytest.importorskip("pymilvus", reason="not installed: pymilvus (requirements-dev.txt)")
pytest.importorskip("psycopg", reason="not installed: psycopg (requirements-dev.txt)")

import grpc
import pymilvus

from grafprint.remote import milvus as engine
from grafprint.remote import reindexing
from grafprint.remote.copying import copy_library
from grafprint.remote.engine import EngineSettings


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(reindexing, "GRACE_S", 0.0)


def search_with(library, server, index="FLAT", **given):
    name = reindexing.new_collection(library)
    settings = engine.settings_for(server.uri, name, index, given, plain=False)
    reindexing.reindex(library, settings)
    return settings


@pytest.fixture
def searched(address, milvus):
    """An empty library that Milvus searches, writable."""
    with create_library(address, Network()) as library:
        search_with(library, milvus)
        yield library


def test_clips_get_the_answers_of_the_folder(address, milvus):
    """All of them if the index is exact, nearly all if it is not."""
    copy_library(ASSETS / "library", address)
    rng = np.random.default_rng(0)
    with (
        Library.open(ASSETS / "library") as folder,
        open_library(address, writable=True) as library,
    ):
        clips = []
        for track in folder.tracks():
            vectors = folder.vectors(np.arange(track.first, track.first + track.count))
            for _ in range(4):
                at, length = int(rng.integers(0, track.count - 50)), int(rng.integers(11, 45))
                noise = 0.08 * rng.standard_normal((length, folder.dim))
                clips.append(unit(vectors[at : at + length] + noise))
        wanted = identify_many(folder, clips)
        assert sum(answer.identified for answer in wanted if answer) > 100

        search_with(library, milvus, "FLAT")
        assert library.exact and not library.index_is_damaged()
        for one, other in zip(wanted, identify_many(library, clips), strict=True):
            assert_same_answer(one, other)

        search_with(library, milvus, "HNSW", ef=64)
        assert not library.exact and not library.index_is_damaged()
        same = [
            one.matches[0].track.content_hash == other.matches[0].track.content_hash
            and abs(one.matches[0].start_s - other.matches[0].start_s) <= 1e-3
            and abs(one.matches[0].score - other.matches[0].score) <= 1e-5
            for one, other in zip(wanted, identify_many(library, clips), strict=True)
            if one and other and one.identified
        ]
        assert np.mean(same) >= 0.99


def test_readers_see_each_change_once_the_call_has_returned(address, searched):
    tracks = given(6)
    with open_library(address) as reader:
        stored = fill(searched, tracks[:4])
        for number, track in enumerate(stored):
            assert identify(reader, tracks[number][5:30]).matches[0].track == track
        searched.remove(stored[2].id)
        rows = reader.search(tracks[2], 20)[1]
        assert stored[2].id not in reader.track_of(rows)
        assert (np.diff((rows < 0).astype(int), axis=1) >= 0).all()  # those there are come first
        (again,) = fill(searched, [tracks[2]], 2)
        assert identify(reader, tracks[2][5:30]).matches[0].track == again
        searched.finish()
        assert identify(reader, tracks[2][5:30]).matches[0].track == again
        assert searched._searcher().count() == len(searched) == 4 * ROWS
        assert not reader.index_is_damaged()


def test_silence_is_not_searched(searched):
    (vectors,) = given(1)
    vectors[10:15] = 0
    (track,) = fill(searched, [vectors])
    assert searched._searcher().count() == ROWS - 5 and not searched.index_is_damaged()
    rows = searched.search(vectors[:10], ROWS)[1] - track.first
    assert not set(range(10, 15)) & set(rows.ravel().tolist())
    assert identify(searched, vectors[5:25]).matches[0].track == track


def test_killed_writers_lose_nothing(address, searched, tmp_path):
    writers = Writers()
    rng = random.Random(0)
    try:
        logs = {seed: tmp_path / f"log-{seed}" for seed in (0, 1)}
        processes = [writers.start(address.url, seed, log) for seed, log in logs.items()]
        time.sleep(rng.uniform(0.2, 0.6))
        for process in processes:
            os.kill(process, signal.SIGKILL)
            time.sleep(rng.uniform(0.0, 0.3))
    finally:
        writers.stop()
    for seed, log in logs.items():
        assert_nothing_lost(searched, log.read_text(), seed)
    assert_no_leftovers(searched)
    assert not searched.index_is_damaged()
    assert searched._searcher().count() == len(searched)
    tracks = {track.title: track for track in searched.tracks()}
    for number, vectors in enumerate(given(3, 0)):
        if track := tracks.get(f"track {number}"):
            assert identify(searched, vectors[5:30]).matches[0].track == track


def test_the_library_is_in_use_while_its_index_is_made_anew(address, searched, milvus):
    tracks = given(60)
    stored = fill(searched, tracks[:20])
    failures, stop = [], threading.Event()
    added = {}

    def change():
        try:
            with open_library(address, writable=True) as library:
                for number in range(20, 60):
                    if stop.is_set():
                        return
                    (added[number],) = fill(library, [tracks[number]], number)
                    if number % 4 == 0:
                        library.remove(stored[number // 4].id)
        except Exception as failure:
            failures.append(failure)

    thread = threading.Thread(target=change)
    thread.start()
    with opened(address) as other:
        for _ in range(2):
            before = other.engine
            search_with(other, milvus)
            assert other.engine != before
    stop.set()
    thread.join()
    assert not failures and added
    searched.finish()
    live = {track.id for track in searched.tracks()}
    for number, track in [*enumerate(stored), *added.items()]:
        if track.id in live:
            assert identify(searched, tracks[number][5:30]).matches[0].track == track
    assert searched._searcher().count() == len(searched)
    assert collections(searched) == [searched.engine.collection]


class Refused(grpc.RpcError):
    """What some failures come as."""

    def code(self):
        return grpc.StatusCode.DEADLINE_EXCEEDED

    def details(self):
        return "Deadline Exceeded"


@pytest.mark.parametrize("lost", ["create_collection", "create_index", "load_collection"])
def test_a_collection_is_complete_although_a_call_fails(searched, milvus, lost, monkeypatch):
    fill(searched, given(1))
    calls, failures = getattr(pymilvus.MilvusClient, lost), [False, True]

    def call(client, *arguments, **options):
        if failures:
            raise Refused() if failures.pop() else pymilvus.MilvusException(message="lost")
        return calls(client, *arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(pymilvus.MilvusClient, lost, call)
        search_with(searched, milvus, "HNSW")
    assert not failures and rows_searched(searched) == ROWS
    found = searched._searcher()._connected().list_indexes(searched.engine.collection)
    assert found == ["fingerprint"]
    assert identify(searched, given(1)[0][5:30]).matches[0].track == searched.tracks()[0]


def test_what_the_server_does_not_do_is_reported(searched, milvus, monkeypatch, tmp_path):
    """It keeps refusing, indexes nothing, or loses rows; the old index stays."""
    fill(searched, given(1))
    before = searched.engine

    def refuse(*_, **__):
        raise Refused

    for changes, reason in (
        ({(engine, "_WRITE_S"): 0.5, (pymilvus.MilvusClient, "upsert"): refuse}, "does not work"),
        (
            {
                (engine, "_STUCK_S"): 0.2,
                (engine, "_unindexed"): lambda _: lambda _: 7,
                (reindexing, "SETTLED_FROM"): 1,
            },
            "does not index 7 rows",
        ),
        ({(engine.MilvusEngine, "count"): lambda _: 3}, f"only 3 of {ROWS} fingerprints"),
    ):
        with monkeypatch.context() as broken:
            for (where, name), value in changes.items():
                broken.setattr(where, name, value)
            with pytest.raises(LibraryError, match=reason):
                search_with(searched, milvus)
        assert searched.engine == before
    monkeypatch.setenv("GRAFPRINT_MILVUS_CA", str(tmp_path / "nowhere"))
    elsewhere = engine.settings_for("https://localhost:1", "c", "FLAT", {}, plain=False)
    with pytest.raises(ConfigError, match=r"GRAFPRINT_MILVUS_CA: .*nowhere"):
        engine.MilvusEngine(elsewhere, 128).count()


def rows_searched(library):
    """How many Milvus has."""
    return library._present_engine().count()


def collections(library):
    """Those of a library."""
    names = library._searcher()._connected().list_collections()
    return [name for name in names if name.startswith(reindexing.prefix(library))]


def test_an_index_in_use_is_not_deleted_by_another_program(address, searched, milvus, monkeypatch):
    """One makes the index anew while another one waits to delete the old, or fills its own."""
    tracks = given(2)
    stored = fill(searched, tracks)
    with opened(address) as other:
        waiting = [1]

        def meanwhile(*_):
            if waiting:
                waiting.pop()
                search_with(other, milvus)

        with monkeypatch.context() as slow:
            slow.setattr("time.sleep", meanwhile)
            search_with(searched, milvus)
        assert identify(searched, tracks[0][5:30]).matches[0].track == stored[0]
        assert collections(searched) == [searched.engine.collection]

        waiting.append(1)
        name = reindexing.new_collection(searched)
        settings = engine.settings_for(milvus.uri, name, "FLAT", {}, plain=False)
        reindexing.reindex(searched, settings, meanwhile)
    assert searched.engine.collection == name and collections(searched) == [name]
    assert identify(searched, tracks[1][5:30]).matches[0].track == stored[1]


def test_writers_wait_for_the_last_rows_only(address, searched, milvus, monkeypatch):
    """Most of what is added while the index is made is copied before they have to wait."""
    monkeypatch.setattr(reindexing, "LITTLE", ROWS)
    tracks = given(20)
    stored = fill(searched, tracks[:10])
    put, in_transaction = engine.MilvusEngine.put, {False: 0, True: 0}
    name = reindexing.new_collection(searched)

    def counted(self, rows, vectors):
        if self.settings.collection == name:
            in_transaction[searched.database._in_transaction] += len(rows)
        put(self, rows, vectors)

    monkeypatch.setattr(engine.MilvusEngine, "put", counted)
    with opened(address) as other:

        def meanwhile(done, _):
            number = len(stored)
            if done == ROWS:
                stored.extend(fill(other, tracks[number : number + 5], number))
                other.remove(stored[1].id)
            if done == 11 * ROWS:
                stored.extend(fill(other, tracks[number : number + 1], number))

        settings = engine.settings_for(milvus.uri, name, "FLAT", {}, plain=False)
        reindexing.reindex(searched, settings, meanwhile)
    assert in_transaction == {False: 14 * ROWS, True: ROWS}
    assert rows_searched(searched) == len(searched) == 15 * ROWS
    for number in (0, 2, 14, 15):
        assert identify(searched, tracks[number][5:30]).matches[0].track == stored[number]


def test_what_a_stopped_program_leaves_is_deleted_later(address, searched, milvus):
    fill(searched, given(1))

    def stop(*_):
        raise KeyboardInterrupt

    with opened(address) as other, pytest.raises(KeyboardInterrupt):
        name = reindexing.new_collection(other)
        settings = engine.settings_for(milvus.uri, name, "FLAT", {}, plain=False)
        reindexing.reindex(other, settings, stop)
    assert len(collections(searched)) == 2
    search_with(searched, milvus)
    assert collections(searched) == [searched.engine.collection]


def copied(address):
    """The address of a copy of a database."""
    import psycopg

    server, _, name = address.url.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        # What is copied may have no connections; those there are come back by themselves.
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            (name,),
        )
        connection.execute(f'CREATE DATABASE "{name}copy" TEMPLATE "{name}"')
    return Address(f"{address.url}copy")


def test_a_copy_of_the_database_leaves_the_index_of_the_original_alone(address, milvus):
    tracks = given(4)
    with create_library(address, Network()) as library:
        search_with(library, milvus)
        stored = fill(library, tracks[:2])
    with opened(copied(address)) as copy, opened(address) as library:
        assert identify(copy, tracks[0][5:30]).matches[0].track == stored[0]
        with pytest.raises(LibraryError, match="is a copy, and its search index is still that of"):
            fill(copy, tracks[2:3], 2)
        copy.rollback_rows()
        copy.remove(stored[0].id)
        copy.finish()
        search_with(copy, milvus)
        (more,) = fill(library, tracks[2:3], 2)
        (other,) = fill(copy, tracks[3:], 3)
        for one, number, track in ((library, 0, stored[0]), (library, 2, more), (copy, 3, other)):
            assert identify(one, tracks[number][5:30]).matches[0].track == track
        assert rows_searched(library) == 3 * ROWS and rows_searched(copy) == 2 * ROWS


def test_a_restored_library_is_told_to_make_its_index_anew(address, searched, milvus):
    """Milvus has as many rows as before, but lacks a track that was removed after the backup."""
    tracks = given(4)
    stored = fill(searched, tracks[:3])
    restored = copied(address)
    searched.remove(stored[1].id)
    fill(searched, tracks[3:], 3)
    searched.finish()
    assert rows_searched(searched) == 3 * ROWS and not searched.index_is_damaged()
    with opened(restored) as library:
        assert library.index_is_damaged()
        search_with(library, milvus)
        assert not library.index_is_damaged()
        assert identify(library, tracks[1][5:30]).matches[0].track == stored[1]


def test_a_search_long_after_a_change_waits_only_for_a_server_that_lags(searched, monkeypatch):
    levels = []
    search = pymilvus.MilvusClient.search

    def noted(client, *arguments, **options):
        levels.append(options["consistency_level"])
        return search(client, *arguments, **options)

    monkeypatch.setattr(pymilvus.MilvusClient, "search", noted)
    (track,) = fill(searched, given(1))
    assert identify(searched, given(1)[0][5:30]).matches[0].track == track
    monkeypatch.setattr(engine, "_SETTLED_S", 0.0)
    assert identify(searched, given(1)[0][5:30]).matches[0].track == track
    assert levels == ["Strong", "Bounded"]


def test_an_index_that_is_lost_is_made_anew(address, searched, milvus, monkeypatch):
    """A collection that was deleted, then the whole server: fingerprints are safe elsewhere."""
    monkeypatch.setattr(engine, "_READ_S", 1.0)
    monkeypatch.setattr(engine, "_WRITE_S", 1.0)
    tracks = given(4)
    stored = fill(searched, tracks[:3])
    searched._searcher()._connected().delete(
        searched.engine.collection, filter=f"row >= {stored[1].first}"
    )
    assert searched.index_is_damaged() and searched.damaged() == []
    search_with(searched, milvus)
    assert not searched.index_is_damaged()

    searched._searcher()._connected().drop_collection(searched.engine.collection)
    with pytest.raises(LibraryError, match="reindex"):
        identify(searched, tracks[0])
    search_with(searched, milvus)
    assert identify(searched, tracks[0][5:30]).matches[0].track == stored[0]

    milvus.kill()
    try:
        with pytest.raises(LibraryError, match="check that it runs"):
            identify(searched, tracks[0])
        with pytest.raises(LibraryError, match="check that it runs"):
            fill(searched, tracks[3:], 3)
        searched.rollback_rows()
        assert searched.remove(stored[2].id) == stored[2]
        assert searched.tracks() == stored[:2]
        reindexing.reindex(searched, EngineSettings())  # nobody answers, so the old one is left
        monkeypatch.undo()
        assert identify(searched, tracks[0][5:30]).matches[0].track == stored[0]
    finally:
        milvus.replace()  # by one that has nothing
    search_with(searched, milvus)
    (added,) = fill(searched, tracks[3:], 3)
    for track, vectors in ((stored[0], tracks[0]), (stored[1], tracks[1]), (added, tracks[3])):
        assert identify(searched, vectors[5:30]).matches[0].track == track
    assert searched._searcher().count() == 3 * ROWS
