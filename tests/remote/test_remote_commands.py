"""The commands, with a library on a server: the same as with one in a folder."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from demo.samples import scene
from demo.sampling import Sampling
from grafprint import audio
from grafprint.audio import metadata
from grafprint.cli.network import network_of
from grafprint.errors import CheckpointError, ConfigError, LibraryError
from grafprint.library import Library
from grafprint.matching import identify
from grafprint.remote.address import Address
from grafprint.remote.opening import open_library
from tests.audio.test_microphone import listen
from tests.audio_files import MUSIC
from tests.cli.commands import grafprint
from tests.conftest import EXAMPLES
from tests.libraries import excerpt, fill, write_music, write_wav
from tests.paths import ASSETS
from tests.remote.conftest import given
from tests.sample_networks import sampling_song


@pytest.fixture(scope="module")
def bundled(postgres):
    """A copy of the bundled library."""
    address = Address(postgres.new_database("commands"))
    grafprint("library", "copy", ASSETS / "library", address)
    return address


def bundled_titles():
    """The titles of the bundled tracks, in the order of their files."""
    with Library.open(ASSETS / "library") as library:
        titles = {Path(track.path).name: track.title for track in library.tracks()}
    return [titles[file.name] for file in MUSIC]


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
    for option in (("--index", "FLAT"), ("--setting", "ef=200")):
        with pytest.raises(ConfigError, match="with --milvus"):
            grafprint("library", "reindex", "-l", address, *option)


def test_what_to_do_about_damage_is_what_can_be_done(address, remote):
    import psycopg

    fill(remote, given(1))
    with psycopg.connect(address.url) as server:
        server.execute("UPDATE grafprint.parts SET fingerprints = set_byte(fingerprints, 7, 3)")
    for command in ("check", "repair"):
        with pytest.raises(LibraryError, match="restore a damaged database") as said:
            grafprint("library", command, "-l", address)
        assert "library repair" not in str(said.value)


def test_the_network_of_a_library_is_remembered(address, fingerprinter, remote, tmp_path):
    from grafprint.cli.console import BUNDLED_MODEL

    assert network_of(address, BUNDLED_MODEL) == BUNDLED_MODEL
    with remote.changing() as catalogue:
        catalogue.put_network(str(tmp_path / "own.safetensors"))
    with pytest.raises(CheckpointError, match="no longer there"):
        network_of(address, BUNDLED_MODEL)
    (tmp_path / "own.safetensors").touch()
    assert network_of(address, BUNDLED_MODEL) == tmp_path / "own.safetensors"


def test_samples_are_found_as_in_a_folder(address, sampling_folder, tmp_path):
    grafprint("library", "copy", sampling_folder / "library", address)
    song = write_wav(tmp_path / "new.wav", sampling_song(3, 6.0, 5.0))
    judged = ("--reranker", sampling_folder / "reranker.safetensors", "--json")
    answers = [
        json.loads(grafprint("samples", song, "--library", place, *judged))
        for place in (sampling_folder / "library", address)
    ]
    for answer in answers:
        for track in (*answer["samples"], *answer["others"]):
            del track["path"], track["track"]  # absolute, and a number of its own
    assert answers[0] == answers[1] and answers[0]["others"]
    served = Sampling.load(address, sampling_folder / "reranker.safetensors")
    with served.library:
        found = served.find(song)
        assert all(served.library.audio_path(track.track) for track in found.tracks)
        assert len(scene.look_up(served, song, "new", found).pictures) > 0


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


def test_the_app_shows_a_library_on_a_server(bundled):
    from demo.library import shelf
    from demo.studio import Studio
    from grafprint.fingerprint import DEFAULT_MODEL

    studio = Studio.load(bundled, DEFAULT_MODEL)
    assert studio.home_name == bundled.name
    facts = shelf.facts(studio, studio.home_name)
    assert facts["tracks"] == 32 and facts["index"] == "Flat" and not facts["editable"]
    assert len(shelf.listed(studio, studio.home_name, "musicbox")) == 1


def test_sound_without_end_is_watched(bundled, tmp_path):
    file = write_wav(tmp_path / "radio.wav", excerpt(0, 20, 9.0))
    log, table = tmp_path / "log.jsonl", tmp_path / "report.csv"
    more = ("--idle", "0.2", "--log", log, "--report", table)
    title = bundled_titles()[0]
    assert title in grafprint("watch", file, "-l", bundled, *more)
    (play,) = (json.loads(line) for line in log.read_text().splitlines())
    assert play["title"] == title and title in table.read_text()


def test_what_a_microphone_hears_is_identified(bundled, sound_server, tmp_path):
    samples = np.tile(audio.load(EXAMPLES / "engine.opus"), 20)
    wavfile.write(tmp_path / "clip.wav", 16_000, np.round(samples * 30_000).astype("<i2"))
    player = subprocess.Popen(["paplay", str(tmp_path / "clip.wav")], env=sound_server)
    try:
        done = listen(sound_server, "--seconds", "4", "--json", "--library", str(bundled))
    finally:
        player.terminate()
        player.wait(timeout=10)
    assert done.returncode == 0, done.stderr
    wanted = json.loads(grafprint("identify", EXAMPLES / "engine.opus", "--json"))
    assert json.loads(done.stdout)["matches"][0]["title"] == wanted["matches"][0]["title"]


def test_hit_rates_are_measured(bundled, tmp_path):
    out = tmp_path / "out"
    few = ("--queries", 2, "--lengths", "2", "--snr", "10", "--reverb", "without", "--out", out)
    grafprint("evaluate", "-l", bundled, *few)
    found = json.loads((out / "evaluation.json").read_text())
    assert found["references"] == 32 and found["cells"][0]["queries"] == 2


def test_untagged_files_get_the_texts_of_the_library(bundled, tmp_path):
    file = write_wav(tmp_path / "rip 01.wav", excerpt(0, 20, 8.0))
    assert "Nothing is written" in grafprint("retag", file, "-l", bundled)
    assert "written" in grafprint("retag", file, "-l", bundled, "--yes")
    assert metadata.read(file).title == bundled_titles()[0]
