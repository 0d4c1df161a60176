"""The commands, with a library on a server: the same as with one in a folder."""

import json
import os

import numpy as np
import pytest

from grafprint.cli.network import network_of
from grafprint.errors import CheckpointError, ConfigError, LibraryError
from grafprint.matching import identify
from grafprint.remote.address import Address
from grafprint.remote.opening import open_library
from tests.cli.commands import grafprint
from tests.conftest import EXAMPLES
from tests.libraries import fill, write_music
from tests.paths import ASSETS
from tests.remote.conftest import given


def test_a_folder_is_indexed_listed_identified_and_changed(address, tmp_path):
    files = write_music(tmp_path / "music", 2, 4.0)
    place = ("--library", address)
    done = json.loads(grafprint("index", tmp_path / "music", *place, "--json"))
    assert done["added"] == [str(file) for file in files] and done["tracks"] == 2
    assert "2 unchanged" in grafprint("index", tmp_path / "music", *place)
    listed = json.loads(grafprint("library", "list", *place, "--json"))
    assert [track["title"] for track in listed] == ["track 0", "track 1"]
    answer = json.loads(grafprint("identify", files[1], *place, "--json"))
    assert answer["identified"] and answer["matches"][0]["path"] == str(files[1])
    plays = json.loads(grafprint("scan", files[0], *place, "--format", "json", status=1))
    assert plays["duration_s"] == pytest.approx(4.0)
    facts = json.loads(grafprint("library", "info", *place, "--json"))
    assert facts["path"] == str(address) and facts["tracks"] == 2 and facts["bytes"] > 0
    assert "all as they were written" in grafprint("library", "check", *place)
    grafprint("library", "remove", listed[0]["id"], *place, "--keep-out")
    assert "kept out" in grafprint("library", "info", *place)
    assert "1 kept out" in grafprint("index", tmp_path / "music", *place)
    grafprint("library", "compact", *place)


def test_a_library_is_copied_there_and_back(address, tmp_path):
    done = grafprint("library", "copy", ASSETS / "library", address)
    assert "32 tracks copied and checked, 0 were there already" in done
    answer = json.loads(grafprint("identify", EXAMPLES / "cafe.opus", "-l", address, "--json"))
    wanted = json.loads(grafprint("identify", EXAMPLES / "cafe.opus", "--json"))
    assert answer == wanted | {"matches": answer["matches"]}
    for ours, theirs in zip(answer["matches"], wanted["matches"], strict=True):
        same = ("title", "artist", "duration_s", "start_s", "score", "confidence", "landmarks")
        assert [ours[name] for name in same] == [theirs[name] for name in same]
    again = json.loads(grafprint("library", "copy", address, tmp_path / "back", "--json"))
    assert len(again["copied"]) == 32
    with pytest.raises(ConfigError, match=r"delete its index\.faiss"):
        grafprint("library", "reindex", "--library", tmp_path / "back")


def test_a_library_without_a_search_server_needs_no_index(address, remote):
    fill(remote, given(1))
    assert "exact, without a server" in grafprint("library", "reindex", "-l", address)
    with pytest.raises(ConfigError, match="give it alone"):
        grafprint("library", "reindex", "-l", address, "--exact", "--index", "FLAT")
    with pytest.raises(LibraryError, match="restore a damaged database"):
        grafprint("library", "repair", "-l", address)


def test_the_network_of_a_library_is_remembered(address, fingerprinter, remote, tmp_path):
    from grafprint.cli.console import BUNDLED_MODEL

    assert network_of(address, BUNDLED_MODEL) == BUNDLED_MODEL
    with remote.changing() as catalogue:
        catalogue.put_network(str(tmp_path / "own.safetensors"))
    with pytest.raises(CheckpointError, match="no longer there"):
        network_of(address, BUNDLED_MODEL)
    (tmp_path / "own.safetensors").touch()
    assert network_of(address, BUNDLED_MODEL) == tmp_path / "own.safetensors"


def test_nothing_is_left_of_a_new_library_without_music(address, tmp_path):
    from grafprint.remote.opening import is_there

    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "noise.wav").write_bytes(b"no sound")
    grafprint("index", tmp_path / "music", "--library", address, status=2)
    assert not is_there(address)


def test_a_password_is_not_taken_from_the_command_line(capfd):
    from grafprint.cli.console import run

    with pytest.raises(SystemExit) as end:
        run(arguments=["library", "list", "-l", "postgresql://me:secret@localhost/music"])
    output = "".join(capfd.readouterr())
    assert end.value.code == 2 and "PGPASSWORD" in output and "secret" not in output


def test_a_reader_needs_only_the_right_to_read(address, remote, postgres):
    """A role with SELECT identifies, and changes nothing."""
    import psycopg

    tracks = given(2)
    stored = fill(remote, tracks)
    with psycopg.connect(address.url) as server:
        server.execute("CREATE ROLE listener LOGIN")
        server.execute("GRANT USAGE ON SCHEMA grafprint TO listener")
        server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA grafprint TO listener")
    reading = Address(address.url.replace("grafprint@", "listener@"))
    with open_library(reading) as library:
        assert identify(library, tracks[1][3:30]).matches[0].track == stored[1]
        assert library.size_bytes() > 0
    with pytest.raises(LibraryError, match="ask its owner for the right"):
        open_library(reading, writable=True)


def test_a_map_is_kept_on_this_machine(address, remote, tmp_path, monkeypatch):
    from grafprint.explore import library_map

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tracks = fill(remote, given(3))
    rows = np.concatenate([np.arange(t.first, t.first + t.count) for t in tracks])
    places = np.random.default_rng(0).random((len(rows), 2)).astype(np.float32)
    drawn = library_map.Map(rows, places, library_map._map_state(remote))
    assert (remote.table().rows(np.arange(len(rows))) == rows).all()
    library_map.save(remote, drawn)
    assert remote.path.is_relative_to(tmp_path) and os.listdir(remote.path)
    loaded = library_map.load(remote)
    assert loaded is not None and len(loaded) == 120
    remote.remove(tracks[0].id)
    assert library_map.load(remote) is None


def test_the_app_shows_a_library_on_a_server(address):
    from demo.library import shelf
    from demo.studio import Studio
    from grafprint.fingerprint import DEFAULT_MODEL

    grafprint("library", "copy", ASSETS / "library", address)
    studio = Studio.load(address, DEFAULT_MODEL)
    assert studio.home_name == address.name
    facts = shelf.facts(studio, studio.home_name)
    assert facts["tracks"] == 32 and facts["index"] == "Flat" and not facts["editable"]
    assert len(shelf.listed(studio, studio.home_name, "musicbox")) == 1
