"""What commands and copies ask of a server does not grow with the square of the library."""

import itertools
import json

import psycopg
import pytest

from grafprint.library import Library, labels
from grafprint.library.records import Totals
from grafprint.remote.address import Address
from grafprint.remote.catalogue import RemoteCatalogue
from grafprint.remote.copying import copy_library
from grafprint.remote.library import RemoteLibrary
from grafprint.remote.opening import create_library, open_library
from tests.cli.commands import grafprint
from tests.libraries import Network, fill, write_music
from tests.remote.conftest import given

_names = itertools.count()


@pytest.fixture(params=["new", "old"])
def sorted_otherwise(postgres, request):
    """A library in a database that has not the order of bytes; old: nor have its paths."""
    name = f"sorted{next(_names)}"
    address = Address(postgres.conninfo(name))
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as server:
        try:
            server.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C.UTF-8'")
        except psycopg.Error as error:
            pytest.skip(f"the system has no other order: {error}")
    create_library(address, Network()).close()
    if request.param == "old":
        with psycopg.connect(address.url) as server:
            server.execute('ALTER TABLE grafprint.files ALTER path TYPE text COLLATE "default"')
    return address, request.param


def test_files_below_a_folder_are_found_by_the_index_of_paths(sorted_otherwise):
    address, age = sorted_otherwise
    with RemoteLibrary(address, writable=True) as library:
        fill(library, given(3))
        paths = ["/music/a.wav", "/music/Ä/b.wav", "/music 2/c.wav"]
        library.database.change(
            lambda db: [
                db.execute("UPDATE grafprint.files SET path = %s WHERE track = %s", (path, track))
                for track, path in enumerate(paths, 1)
            ]
        )
        assert [f.path for f in library.catalogue.files_below("/music")] == paths[:2]
        assert [f.path for f in library.catalogue.files_below("/music/Ä")] == paths[1:2]
        assert [track.path for track in library.tracks("ä track")] == paths[1:2]
    with psycopg.connect(address.url) as server:
        server.execute("SET enable_seqscan = off")
        plan = server.execute(
            "EXPLAIN SELECT FROM grafprint.files WHERE path = '/m' OR starts_with(path, '/m/')"
        ).fetchall()
    used = "path >= '/m/'" in str(plan).replace('"', "")
    assert used == (age == "new"), plan


def test_a_copy_reads_the_labels_of_each_track_once(address, tmp_path, monkeypatch):
    read = 0
    labels_of_some = RemoteCatalogue.labels

    def counted(self, *arguments):
        nonlocal read
        found = labels_of_some(self, *arguments)
        read += len(found)
        return found

    monkeypatch.setattr(RemoteCatalogue, "labels", counted)
    with Library.create(tmp_path / "library", Network()) as library:
        tracks = fill(library, given(9))
        for track in tracks:
            library.put_labels(track, labels.of_probabilities("a tagger", {"Piano": 0.5}))
        wanted = library.totals()
    copy_library(tmp_path / "library", address)
    assert read <= 2 * len(tracks)
    with open_library(address) as copied:
        assert copied.totals() == wanted == Totals(9, wanted.duration_s, 9)
        assert copied.has_labels
        read = 0
        assert all(copied.labels_of(track) == {"Piano": 0.5} for track in tracks)
        assert read == 9
        assert sorted(copied.catalogue.content_hashes()) == sorted(t.content_hash for t in tracks)


def test_commands_that_count_tracks_do_not_load_them(address, tmp_path, monkeypatch):
    write_music(tmp_path / "music", 2, 4.0)
    monkeypatch.setattr(RemoteLibrary, "tracks", None)
    done = json.loads(grafprint("index", tmp_path / "music", "--library", address, "--json"))
    assert done["tracks"] == 2
    facts = json.loads(grafprint("library", "info", "--library", address, "--json"))
    assert (facts["tracks"], facts["tagged"]) == (2, 0)
    assert "2 tracks, all as they" in grafprint("library", "check", "--library", address)
