"""The command line on the bundled music: index, identify, list, remove, evaluate, train, errors."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from grafprint.cli import app
from grafprint.cli.console import clock
from tests.paths import ASSETS, ROOT

MUSIC = ASSETS / "music"
NAMES = ("freecol-musicbox.opus", "zaz-contemplation.opus", "gigalomania-warm-ink.opus")


def grafprint(*arguments: object, status: int = 0) -> str:
    """Run a command in this process; its standard output."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three tracks and one bad file, indexed."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "music").mkdir()
    for name in NAMES:
        shutil.copy(MUSIC / name, folder / "music")
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


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("identify", "nowhere.mp3"), "nowhere.mp3"),
        (("identify", __file__), "not audio"),
        (("identify", MUSIC / NAMES[0], "--library", "no-such-library"), "there is no library"),
        (("identify", MUSIC / NAMES[0], "--model", "no.safetensors"), "no such file"),
        (("identify", MUSIC / NAMES[0], "--duration", "0.3"), "at least 1 s"),
        (("evaluate", "--snr", "loud"), "numbers separated by commas"),
        (("train", "nowhere", "--out", "run"), "no such folder"),
    ],
)
def test_errors_are_one_clear_line(arguments: tuple[object, ...], message: str, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "grafprint", *map(str, arguments)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert message in done.stderr.replace("\n", " ") and "Traceback" not in done.stderr


def test_a_library_of_another_network_is_refused(place: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", "from grafprint.fingerprint import *;"
         "from grafprint.models.checkpoint import save_encoder;"
         "from grafprint.models.encoders import build;"
         "from pathlib import Path; from grafprint.models.features import FeatureConfig;"
         "save_encoder(Path('o.safetensors'), build('grafprint'), FeatureConfig());"
         "from grafprint.cli import main; import sys;"
         f"sys.argv = ['grafprint', 'identify', {str(MUSIC / NAMES[0])!r}, '-l',"
         f" {str(place / 'library')!r}, '--model', 'o.safetensors']; main()"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "was made with network" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "seconds, text", [(0, "0:00.0"), (61.24, "1:01.2"), (59.97, "1:00.0"), (-3.3, "-0:03.3")]
)
def test_clock(seconds: float, text: str):
    assert clock(seconds) == text
