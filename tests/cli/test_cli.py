"""The command line on the bundled music: index, identify, list, remove, evaluate, train, errors."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from grafprint import __version__, audio
from grafprint.cli import app, console
from grafprint.cli.console import clock
from grafprint.errors import ConfigError
from grafprint.library import Library
from grafprint.models.checkpoint import save_encoder
from grafprint.models.encoders import build
from grafprint.models.features import FeatureConfig
from tests import audio_files
from tests.cli.commands import grafprint
from tests.paths import ASSETS, ROOT
from tests.training.test_training import TINY

MUSIC = ASSETS / "music"
NAMES = ("freecol-musicbox.opus", "zaz-contemplation.opus", "gigalomania-warm-ink.opus")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 seconds of three tracks and one bad file, indexed."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "music").mkdir()
    for name in NAMES:
        with av.open(str(MUSIC / name)) as whole:
            tags = whole.streams.audio[0].metadata
        begin = audio.load(MUSIC / name, duration_s=40)
        audio_files.write(folder / "music" / name, begin, 16_000, "libopus", metadata=tags)
    (folder / "music/bad.mp3").write_text("not a song")
    output = grafprint("index", folder / "music", "--library", folder / "library")
    assert "3 added" in output and "bad.mp3" in output
    return folder


def test_indexing_again_changes_nothing(place: Path):
    output = grafprint("index", place / "music", "--library", place / "library")
    assert "0 added" in output and "3 unchanged" in output


def test_identify_names_the_track_and_the_time(place: Path):
    clip = place / "music" / NAMES[0]
    output = grafprint("identify", clip, "--library", place / "library",
                       "--start", 20, "--duration", 3, "--json")  # fmt: skip
    answer = json.loads(output)
    best = answer["matches"][0]
    assert answer["identified"] and best["title"] == "Musicbox"
    assert best["start_s"] == pytest.approx(20, abs=0.06)
    assert len(best["segment_scores"]) == 21
    text = grafprint("identify", clip, "-l", place / "library", "--start", 20, "--duration", 3)
    assert "Musicbox" in text and "0:20.0" in text


def test_the_library_is_listed_searched_and_changed(place: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(place / "library", folder)
    rows = json.loads(grafprint("library", "list", "--library", folder, "--json"))
    assert [r["title"] for r in rows] == sorted(r["title"] for r in rows) and len(rows) == 3
    found = json.loads(
        grafprint("library", "list", "--library", folder, "--search", "warm", "--json")
    )
    assert [r["title"] for r in found] == ["Warm Ink"]
    grafprint("library", "remove", found[0]["id"], "--library", folder)
    assert len(json.loads(grafprint("library", "list", "--library", folder, "--json"))) == 2
    assert "2 tracks" in grafprint("library", "info", "--library", folder)


def test_every_listing_is_json_for_programs(place: Path, tmp_path: Path):
    folder = shutil.copytree(place / "library", tmp_path / "copy")
    facts, checked, compacted, repaired = (
        json.loads(grafprint("library", command, "-l", folder, "--json"))
        for command in ("info", "check", "compact", "repair")
    )
    assert facts["tracks"] == 3 and facts["fingerprints"] > 1000 and facts["network"] is None
    assert checked == {"tracks": 3, "damaged": [], "index_is_damaged": False}
    assert compacted == {"freed": 0}
    assert repaired == {"kept": 3, "lost": [], "from_backup": False}
    with (folder / "fingerprints.f16").open("r+b") as file:
        file.write(b"damage")
    (lost,) = json.loads(grafprint("library", "repair", "-l", folder, "--json"))["lost"]
    (removed,) = json.loads(grafprint("library", "remove", 3, "-l", folder, "--json"))
    assert (lost["id"], removed["id"]) == (1, 3)


def test_evaluate_prints_a_table_and_writes_files(place: Path, tmp_path: Path):
    output = grafprint("evaluate", "--library", place / "library", "--queries", 3, "--lengths", "2",
                       "--snr", "none,10", "--reverb", "without", "--out", tmp_path)  # fmt: skip
    assert "right track within 50 ms" in output and "no noise" in output
    assert len(json.loads((tmp_path / "evaluation.json").read_text())["cells"]) == 2
    assert (tmp_path / "evaluation.png").is_file()


def test_train_runs_and_resumes(place: Path, tmp_path: Path):
    options = {"widths": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "pooled_width": 64,
               "hidden_width": 96}  # fmt: skip
    common = ("train", place / "music", "--out", tmp_path / "run", "--accelerator", "cpu")
    grafprint(*common, "--steps", 2, "--batch", 3, "--options", json.dumps(options))
    output = grafprint(*common, "--resume", "--steps", 3)
    assert "encoder.safetensors" in output
    output = grafprint("index", place / "music", "--library", tmp_path / "library",
                       "--model", tmp_path / "run/encoder.safetensors")  # fmt: skip
    assert "3 added" in output


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr with which a command ends."""
    with pytest.raises(SystemExit) as end:
        console.run(arguments=[str(a) for a in arguments])
    output = capsys.readouterr().err
    assert end.value.code == 2, output
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, output
    return lines[0]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with files of kinds that a user may name by mistake."""
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "damaged", "silence", "noises", "rooms", "run", "results"):
        Path(folder).mkdir()
    for name, samples in (
        ("short.wav", np.full(4800, 0.1)),
        ("silent.wav", np.zeros(48_000)),
        ("silence/silent.wav", np.zeros(48_000)),
        ("nan.wav", np.full(48_000, np.nan)),
        ("noises/noise.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 48_000)),
        ("rooms/room.wav", np.exp(-np.arange(1000) / 100)),
    ):
        wavfile.write(name, 16_000, samples.astype(np.float32))
    Path("text.json").write_text("{not JSON")
    Path("unknown.json").write_text('{"frobnicate": 1}')
    Path("types.json").write_text('{"steps": "many"}')
    Path("manifest.csv").write_text("name\nx\n")
    Path("damaged/library.sqlite3").write_text("not a database")
    Path("run/state.safetensors").write_text("not weights")
    Path("run/config.json").write_text("{}")
    Path("results/outcomes.jsonl").write_text("of something else\n")
    return tmp_path


TRACK = MUSIC / NAMES[2]
EVALUATE = ("evaluate", "--noise", "noises", "--rooms", "rooms")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("identify", "nowhere.mp3"), "nowhere.mp3"),
        (("identify", __file__), "not audio"),
        (("identify", "empty"), "there is no audio"),
        (("identify", TRACK, "--library", "no-such-library"), "there is no library"),
        (("identify", TRACK, "--library", "damaged"), "it is damaged"),
        (("identify", TRACK, "--model", "no.safetensors"), "no such file"),
        (("identify", TRACK, "--model", "text.json"), "not a readable safetensors file"),
        (("identify", TRACK, "--model", console.FAST_MODEL), "to build libraries"),
        (("identify", TRACK, "--duration", "0.3"), "at least 1 s"),
        (("identify", TRACK, "--start", "1e9"), "ask for an earlier start"),
        (("identify", TRACK, "--device", "abacus"), "--device abacus cannot be used"),
        (("identify", TRACK, "--device", "meta"), "--device meta cannot be used"),
        (("identify", "short.wav"), "at least 1 s"),
        (("identify", "silent.wav"), "is silent"),
        (("identify", "nan.wav"), "NaN"),
        (("scan", "short.wav"), "at least 1 s"),
        (("scan", "nan.wav"), "NaN"),
        (("scan", "empty"), "there is no audio"),
        (("scan", TRACK, "--out", "text.json"), "text.json"),
        (("index", "nowhere", "-l", "new"), "no folder or file nowhere"),
        (("index", TRACK, "-l", "new", "--factory", "Bogus7"), "'Bogus7' is not an index"),
        (("index", TRACK, "-l", "new", "--factory", "IVF0,Flat"), "an index without lists"),
        (("index", TRACK, "-l", "new", "--fast", "--model", "my.safetensors"), "give one of them"),
        (("index", TRACK, "-l", "new", "--fast", "--samples"), "give one of them"),
        (("index", TRACK, "-l", "text.json"), "text.json"),
        (("library", "list", "-l", "nowhere"), "there is no library"),
        (("library", "repair", "-l", "damaged"), "it is damaged"),
        (("watch", "nan.wav", "--idle", "0.1"), "NaN"),
        (("watch", "http://[bad"), "cannot listen to"),
        (("evaluate", "--snr", "loud"), "numbers separated by commas"),
        (("evaluate", "--lengths", ""), "numbers separated by commas"),
        (("evaluate", "--reverb", "some"), "--reverb is"),
        (("evaluate", "--protocol", "mine"), "the protocol is"),
        ((*EVALUATE, "--tracks", TRACK), "neither a folder nor a CSV manifest"),
        ((*EVALUATE, "--tracks", "manifest.csv"), "a column named 'path'"),
        (("evaluate", "--noise", "silence"), "not silent"),
        (("evaluate", "--noise", "noises", "--rooms", "silence"), "silent"),
        ((*EVALUATE, "--lengths", "1e6"), "no track"),
        ((*EVALUATE, "--out", "results"), "belongs to another evaluation"),
        (("train", "nowhere", "--out", "new"), "no such folder"),
        (("train", TRACK, "--out", "new"), "neither a folder nor a CSV manifest"),
        (("train", MUSIC, "--out", "run"), "holds a run already"),
        (("train", MUSIC, "--out", "new", "--resume"), "no such file"),
        (("train", MUSIC, "--out", "new", "--options", "{x"), "--options is not JSON"),
        (("train", MUSIC, "--out", "new", "--options", "[1]"), "--options is a JSON object"),
        (("train", MUSIC, "--out", "new", "--precision", "8"), "the precision is one of"),
        (("train", MUSIC, "--out", "new", "--accelerator", "abacus"), "--accelerator abacus"),
        (("train", MUSIC, "--out", "new", "--snr-db", "5", "1"), "the lowest and the highest"),
        (("train", MUSIC, "--out", "new", "--learning-rate", "nan"), "learning_rate must be"),
        (("train", MUSIC, "--out", "new", "--save-every", "0"), "save_every must be"),
        (("train", MUSIC, "--out", "new", "--recipe", "text.json"), "text.json: not the settings"),
        (("train", MUSIC, "--out", "new", "--recipe", "unknown.json"), "no setting frobnicate"),
        (
            ("train", MUSIC, "--out", "new", "--recipe", "types.json"),
            "types.json: not the settings",
        ),
    ],
)
def test_mistakes_of_a_user_are_one_clear_line(
    arguments: tuple[object, ...], message: str, files: Path, capsys: pytest.CaptureFixture[str]
):
    assert message in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nope": 1}, "has no option nope"),
        ({"widths": [1, 2]}, "cannot have these options"),
    ],
)
def test_impossible_encoders_are_refused(options: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        build("grafprint", options)


@pytest.mark.parametrize(
    "arguments",
    [
        ("identify", TRACK, "--start", "-1"),
        ("identify", TRACK, "--start", "nan"),
        ("identify", TRACK, "--duration", "0"),
        ("identify", TRACK, "--duration", "inf"),
        ("identify", TRACK, "--confidence", "1.2"),
        ("identify", TRACK, "--confidence", "nan"),
        ("identify", TRACK, "--top", "0"),
        ("listen", "--seconds", "nan"),
        ("watch", "--idle", "nan"),
        ("scan", TRACK, "--format", "docx"),
        ("app", "--port", "100000"),
        ("library", "remove", "first", "-l", "new"),
    ],
)
def test_values_out_of_range_are_usage_errors(arguments: tuple[object, ...]):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2 and "Invalid value" in result.stderr


def test_debug_shows_where_an_error_came_from(tmp_path: Path):
    command = [sys.executable, "-m", "grafprint", "library", "list", "-l", "nowhere"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    ends = []
    for options in ([], ["--debug"]):
        command[3:3] = options
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and "there is no library in nowhere" in done.stderr
        ends.append(done.stderr)
    plain, debug = ends
    assert len(plain.splitlines()) == 1 and "Traceback" in debug


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
def test_faults_of_the_program_show_their_trace(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    def fail(path: Path, **_: object) -> None:
        raise kind("a fault")

    monkeypatch.setattr(Library, "open", fail)
    with pytest.raises(kind, match="a fault"):
        console.run(arguments=["library", "list"])


def test_errors_of_the_system_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(path: Path, **_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/some/file")

    monkeypatch.setattr(Library, "open", fail)
    assert "No space left on device" in refusal(capsys, "library", "list")


def test_the_version_is_shown():
    assert grafprint("--version") == f"grafprint {__version__}\n"


def test_a_library_of_another_network_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = tmp_path / "other.safetensors"
    save_encoder(other, build("grafprint", TINY), FeatureConfig())
    command = ("identify", MUSIC / NAMES[0], "-l", place / "library", "--model", other)
    assert "was made with network" in refusal(capsys, *command)


@pytest.mark.parametrize(
    "seconds, text", [(0, "0:00.0"), (61.24, "1:01.2"), (59.97, "1:00.0"), (-3.3, "-0:03.3")]
)
def test_clock(seconds: float, text: str):
    assert clock(seconds) == text
