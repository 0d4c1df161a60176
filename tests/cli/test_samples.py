"""``grafprint samples`` and ``train-reranker``: tables, JSON, exit statuses, messages."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assets.stems.songs import Song, write_song, write_table
from demo.samples import example
from demo.sampling import Sampling
from grafprint.bundled import SAMPLES_ENCODER, asset
from grafprint.errors import AudioError, CheckpointError, ConfigError, MatchError
from grafprint.library import Library
from grafprint.library.catalogue_file import network_file
from grafprint.models.rerankers import load_reranker
from tests.cli.commands import grafprint, run
from tests.libraries import excerpt, write_wav
from tests.paths import ASSETS, ROOT
from tests.sample_networks import sampling_song, song

pytestmark = pytest.mark.usefixtures("wide")


@pytest.fixture(scope="module")
def place(sampling_folder: Path) -> Path:
    """A library with its networks, and a folder of songs: new, known, silent, short."""
    root = sampling_folder
    write_wav(root / "songs/new.wav", sampling_song(3, 6, 5))
    write_wav(root / "songs/known.wav", song(4)[4 * 8192 :])
    write_wav(root / "songs/silent.wav", np.zeros(160_000, np.float32))
    write_wav(root / "songs/short.wav", song(1)[:32_000])
    return root


def find(place: Path, *arguments: object, status: int = 0) -> str:
    given = [place / str(a) if str(a).startswith("songs") else a for a in arguments]
    return grafprint("samples", *given, "-l", place / "library", status=status)


def test_one_song_is_a_sentence_and_a_table(place: Path):
    output = find(place, "songs/new.wav", "--reranker", place / "reranker.safetensors")
    assert f"{place / 'songs/new.wav'} samples " in output and "song 3" in output
    assert "probability" in output and " to 0:" in output and "speed" in output
    assert "similarity alone" not in output
    alone = find(place, "songs/new.wav")
    assert "by similarity alone, without a re-ranker (--reranker)" in alone
    assert "similarity" in alone and "song 3" in alone


def test_nothing_is_said_and_exits_with_1(place: Path):
    output = find(place, "songs/new.wav", "--least", 999, status=1)
    assert "samples nothing in this library" in output and "Nearest candidates" in output


def test_the_song_itself_is_named_or_left_out(place: Path):
    known = find(place, "songs/known.wav", "--least", 999, status=1)
    assert "it is itself in the library: song 4" in known
    left_out = find(place, "songs/known.wav", "--least", 999, "--leave-out-itself", status=1)
    assert "song 4" not in left_out


def test_many_songs_are_one_table_and_lists(place: Path):
    output = find(place, "songs", status=2)
    assert "2 left out" in output and "with samples" in output
    assert "left out: the song is silent throughout" in output
    assert "at least 4.08 s is needed" in output
    values = json.loads(find(place, "songs", "--json", status=2))
    by_name = {Path(v["path"]).name: v for v in values}
    assert by_name["known.wav"]["same_recordings"][0]["title"] == "song 4"
    assert set(by_name["short.wav"]) == {"path", "error"}


def test_json_of_one_song_has_regions_in_both(place: Path):
    value = json.loads(find(place, "songs/new.wav", "--json"))
    assert value["path"].endswith("new.wav") and value["reranked"] is False
    best = value["samples"][0]
    assert best["title"] == "song 3" and best["probability"] is None
    assert set(best["regions"][0]) == {
        "start_s", "end_s", "track_start_s", "track_end_s", "speed", "probability", "similarity",
        "segments",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (("songs/short.wav",), AudioError, "at least 4.08 s"),
        (("songs/silent.wav",), MatchError, "silent throughout"),
        (("songs/new.wav", "--reranker", "no.safetensors"), CheckpointError, "no such file"),
        (("songs/new.wav", "--device", "warp"), ConfigError, "--device warp"),
        (("songs/new.wav", "--reranker", "any", "--by-similarity"), ConfigError, "leave out"),
    ],
)
def test_errors_say_what_is_wrong(
    place: Path, options: tuple[str, ...], kind: type[Exception], message: str
):
    with pytest.raises(kind, match=message):
        find(place, *options)


def test_a_library_of_the_fingerprint_network_is_refused(place: Path):
    with pytest.raises(CheckpointError, match="network for that"):
        grafprint("samples", place / "songs/new.wav", "-l", ASSETS / "library")


def test_the_bundled_networks_find_a_sample_in_the_demo_library(tmp_path: Path):
    sampling = Sampling.bundled()
    assert sampling is not None and sampling.reranker is not None
    made, track = example.make_song(sampling)
    path = write_wav(tmp_path / "made.wav", made)
    value = json.loads(grafprint("samples", path, "--json"))
    assert value["reranked"] is True and value["samples"][0]["title"] == track.title
    region = value["samples"][0]["regions"][0]
    assert region["start_s"] > example.FIRST_S - 4.1 and region["probability"] > 0.5
    alone = json.loads(grafprint("samples", path, "--json", "--by-similarity", "--least", 0))
    assert alone["reranked"] is False
    nearest = [*alone["samples"], *alone["others"]]
    assert track.title in {found["title"] for found in nearest}


def test_a_library_of_ones_own_is_made_with_the_bundled_network(tmp_path: Path):
    write_wav(tmp_path / "music/a.wav", excerpt(3, 20, 9))
    grafprint("index", tmp_path / "music", "-l", tmp_path / "own", "--samples")
    encoder = asset(SAMPLES_ENCODER)
    assert network_file(tmp_path / "own") == encoder
    # The same, if it was made by an installation that is gone.
    with Library.open(tmp_path / "own", writable=True) as library, library.changing() as catalogue:
        catalogue.put_network(f"/gone/lib/grafprint/assets/{SAMPLES_ENCODER}")
    assert network_file(tmp_path / "own") == encoder
    write_wav(tmp_path / "song.wav", excerpt(9, 20, 9))
    grafprint("samples", tmp_path / "song.wav", "-l", tmp_path / "own", "--least", 99, status=1)


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stems")
    for number in range(4):
        write_song(out, Song(f"song {number}", "package", "train", excerpt(number, 20, 9)))
    write_table(out)
    return out / "stems.csv"


def test_a_re_ranker_is_trained_and_used(place: Path, stems: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"network": {"width": 32}, "memory": 8, "among": 2}))
    options = ("--model", place / "encoder.safetensors", "--out", tmp_path / "run")
    done = run("train-reranker", stems, *options, "--recipe", recipe, "--steps", 2, "--batch", 3)
    assert done.returncode == 0, done.stderr
    assert b"step 2/2  loss 0." in done.stderr and b"trained: " in done.stdout
    more = grafprint("train-reranker", stems, *options, "--resume", "--steps", 3)
    assert "reranker.safetensors" in more
    trained = tmp_path / "run/reranker.safetensors"
    assert load_reranker(trained).facts["steps_done"] == 3
    # After three steps it may find anything, but is not as sure as that.
    sure = ("--json", "--least", 999, "--reranker", trained)
    assert json.loads(find(place, "songs/new.wav", *sure, status=1))["reranked"] is True


def test_sigterm_saves(place: Path, stems: Path, tmp_path: Path):
    command = [
        sys.executable, "-m", "grafprint", "train-reranker", stems, "--steps", "100000",
        "--batch", "2", "--model", place / "encoder.safetensors", "--out", tmp_path / "run",
    ]  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as file:
        running = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=file,
            stderr=file,
        )
        while b"step 10/" not in log.read_bytes() and running.poll() is None:
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 0, log.read_text()
    assert "resume with: grafprint train-reranker" in log.read_text()
    assert load_reranker(tmp_path / "run/reranker.safetensors").facts["steps_done"] >= 10
