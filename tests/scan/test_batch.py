"""Scans of many recordings on the command line: names, changes, failures, formats."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile
from typer.testing import CliRunner

from grafprint import audio
from grafprint.audio import SAMPLE_RATE as RATE
from grafprint.cli import app, console
from grafprint.library import Library
from grafprint.scan.outputs import Recording, recordings
from tests.paths import ASSETS, ROOT


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Path]:
    """Eight seconds of each of two tracks."""
    folder = tmp_path_factory.mktemp("clips")
    with Library.open(ASSETS / "library") as library:
        paths = [library.audio_path(library.tracks()[number]) for number in (0, 3)]
    for number, path in enumerate(paths):
        assert path is not None
        samples = audio.load(path, start_s=10, duration_s=8)
        wavfile.write(folder / f"{number}.wav", RATE, (samples * 32767).astype(np.int16))
    return [folder / "0.wav", folder / "1.wav"]


@pytest.fixture
def discs(clips, tmp_path) -> Path:
    """Two folders with a recording of the same name."""
    for number, clip in enumerate(clips):
        (tmp_path / f"rec/disc{number}").mkdir(parents=True)
        shutil.copy2(clip, tmp_path / f"rec/disc{number}/01.wav")
    return tmp_path / "rec"


@pytest.fixture(scope="module")
def titles() -> list[str]:
    with Library.open(ASSETS / "library") as library:
        return [library.tracks()[number].title for number in (0, 3)]


def run(*arguments: object):
    return CliRunner().invoke(app, ["scan", *map(str, arguments)])


def title(result: Path) -> str:
    return json.loads(result.read_text(encoding="utf-8"))["entries"][0]["title"]


def outputs(*places: Path) -> list[str]:
    return [recording.output.as_posix() for recording in recordings(places, [])]


def test_recordings_of_one_name_have_results_of_their_own(discs, titles, tmp_path):
    result = run(discs, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert title(tmp_path / "out/disc0/01.wav.json") == titles[0]
    assert title(tmp_path / "out/disc1/01.wav.json") == titles[1]
    endings = {path.name.removeprefix("01.wav.") for path in (tmp_path / "out/disc0").iterdir()}
    assert endings == {"json", "csv", "cue", "labels.txt", "chapters.txt"}


def test_outputs_keep_folders_only_where_they_must(discs):
    zero, one = discs / "disc0/01.wav", discs / "disc1/01.wav"
    assert outputs(discs / "disc0") == outputs(zero) == outputs(zero, zero) == ["01.wav"]
    assert outputs(discs) == outputs(discs / "disc0", one) == ["disc0/01.wav", "disc1/01.wav"]
    shutil.copy(zero, discs / "disc1/02.wav")
    assert outputs(zero, one, discs / "disc1/02.wav") == ["disc0/01.wav", "disc1/01.wav", "02.wav"]
    long = recordings([discs / ("x" * 251 + ".wav"), discs / ("x" * 250 + "y.wav")], [])
    assert len({len(recording.output.name) for recording in long}) == 1
    assert len({recording.output for recording in long}) == 2
    assert all(len(recording.output.name) < 240 for recording in long)
    assert recordings([zero], []) == [Recording(zero, Path("01.wav"))]


def test_a_result_of_another_recording_is_kept(discs, titles, tmp_path):
    out = tmp_path / "out"
    assert run(discs / "disc0/01.wav", "--out", out).exit_code == 0
    refused = run(discs / "disc1/01.wav", "--out", out)
    assert refused.exit_code == 1 and "is the result of" in str(refused.exception)
    assert title(out / "01.wav.json") == titles[0]
    (discs / "disc0/01.wav").rename(discs / "01.wav")  # moved, not changed
    assert "has been scanned" in run(discs / "01.wav", "--out", out).stderr.replace("\n", "")


def test_a_replaced_recording_is_scanned_again(discs, titles, tmp_path):
    recording, out = discs / "disc0/01.wav", tmp_path / "out"
    assert run(recording, "--out", out).exit_code == 0
    assert "has been scanned" in run(recording, "--out", out).stderr.replace("\n", "")
    shutil.copy(discs / "disc1/01.wav", recording)
    assert run(recording, "--out", out).exit_code == 0
    assert title(out / "01.wav.json") == titles[1]


def test_a_result_without_facts_of_its_file_is_kept_while_it_is_newer(discs, tmp_path):
    recording, out = discs / "disc0/01.wav", tmp_path / "out"
    out.mkdir()
    (out / "01.wav.json").write_text('{"recording": "01.wav", "duration_s": 9.5, "entries": []}')
    assert "has been scanned" in run(recording, "--out", out).stderr.replace("\n", "")
    os.utime(out / "01.wav.json", (1e9, 1e9))
    assert run(recording, "--out", out).exit_code == 0
    assert json.loads((out / "01.wav.json").read_text())["entries"]


def test_a_failure_leaves_out_one_recording_only(discs, clips, titles, tmp_path):
    wavfile.write(discs / "a_short.wav", RATE, np.ones(RATE // 2, np.float32))
    (discs / "bad.mp3").write_text("this is text")
    shutil.copy(clips[0], discs / ("x" * 245 + ".wav"))
    shutil.copy(clips[0], os.fsencode(discs) + b"/caf\xe9.wav")
    (tmp_path / "out/disc0").mkdir(parents=True)
    (tmp_path / "out/disc0/01.wav.partial.json").write_text("{}")
    result = run(discs, "--out", tmp_path / "out")
    assert result.exit_code == 2
    left_out = [line for line in result.stderr.splitlines() if "left out" in line]
    assert len(left_out) == 2 and "a_short.wav" in left_out[0] and "bad.mp3" in left_out[1]
    assert "starting again" in result.stderr
    found = sorted(title(path) for path in (tmp_path / "out").rglob("*.json"))
    assert found == sorted([titles[0]] * 3 + [titles[1]])


def test_a_name_that_is_not_utf8_is_printed(clips, tmp_path):
    """In a process of its own: a real standard output refuses what is not UTF-8."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    shutil.copy(clips[0], odd)
    script = """
import functools, sys
from grafprint.cli import app
from grafprint.fingerprint import Fingerprinter
Fingerprinter.load = functools.cache(Fingerprinter.load)  # once for all formats
for form in ("table", "json", "csv", "cue"):
    app(["scan", sys.argv[1], "--format", form], standalone_mode=False)
    print("end of", form)
"""
    done = subprocess.run([sys.executable, "-c", script, odd], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"end of \w+\n", done.stdout.decode("utf-8"))
    assert len(parts) == 5 and all(parts[:4])


def test_formats_of_several_recordings(discs, titles):
    found = json.loads(run(discs, "--format", "json").stdout)
    assert [scan["entries"][0]["title"] for scan in found] == titles
    places = [discs / "disc0/01.wav", discs / "disc1/01.wav"]
    rows = list(csv.DictReader(io.StringIO(run(*places, "--format", "csv").stdout)))
    assert [row["recording"] for row in rows] == [str(place) for place in places]
    assert [row["title"] for row in rows] == titles
    refused = run(discs, "--format", "cue")
    assert refused.exit_code == 1 and "for one recording" in str(refused.exception)
    assert len(json.loads(run(discs / "disc0", "--format", "json").stdout)) == 1


def test_an_interrupted_batch_prints_valid_json(discs, monkeypatch):
    from grafprint.scan import scan

    def interrupted(library, fingerprinter, path, **options):
        if "disc1" in str(path):
            raise KeyboardInterrupt
        return scan(library, fingerprinter, path, **options)

    monkeypatch.setattr("grafprint.scan.scan", interrupted)
    result = run(discs, "--format", "json")
    assert result.exit_code == 130 and len(json.loads(result.stdout)) == 1


@pytest.mark.parametrize("form", ["json", "csv", "cue", "labels", "chapters", "table"])
def test_formats_of_one_recording(clips, titles, form):
    result = run(clips[0], "--format", form)
    assert result.exit_code == 0, result.output
    assert titles[0][:10] in result.stdout
    if form == "json":
        assert json.loads(result.stdout)["duration_s"] == 8


@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_finished_recordings_are_printed_again(discs, tmp_path, form):
    arguments = [discs, "--out", tmp_path / "out", "--format", form]
    first, again = run(*arguments), run(*arguments)
    assert first.exit_code == again.exit_code == 0
    assert "has been scanned" in again.stderr.replace("\n", "")
    assert again.stdout == first.stdout


def test_a_result_that_cannot_be_read_is_told(discs, tmp_path):
    recording, out = discs / "disc0/01.wav", tmp_path / "out"
    assert run(recording, "--out", out).exit_code == 0
    result = json.loads((out / "01.wav.json").read_text())
    (out / "01.wav.json").write_text(json.dumps({**result, "entries": [{"title": "Half"}]}))
    refused = run(recording, "--out", out)
    assert refused.exit_code == 1 and "delete it" in str(refused.exception)


def test_a_folder_is_scanned_only_once(discs, tmp_path):
    (discs / "notes.txt").write_text("no audio")
    arguments = [discs, "--out", tmp_path / "out"]
    assert run(*arguments).exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 0 and again.stderr.replace("\n", "").count("has been scanned") == 2
    assert not list((tmp_path / "out").rglob("notes*"))


def test_the_status_says_whether_anything_was_found(discs, tmp_path):
    unknown = tmp_path / "unknown.wav"
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE)
    wavfile.write(unknown, RATE, tone.astype(np.float32))
    for _ in range(2):  # the second time, both have been scanned
        assert run(unknown, "--out", tmp_path / "none").exit_code == 1
        assert run(unknown, discs / "disc0/01.wav", "--out", tmp_path / "some").exit_code == 0


def test_files_that_are_passed_over_are_reported(discs):
    (discs / "notes.xyz").write_text("no audio")
    shutil.copy(discs / "disc0/01.wav", discs / ".hidden.wav")
    result = run(discs)
    assert result.exit_code == 0
    passed_over = [line for line in result.stderr.splitlines() if "passed over" in line]
    assert len(passed_over) == 2 and ".hidden.wav" in passed_over[0] and "xyz" in passed_over[1]


def test_json_of_several_recordings_holds_the_failures(discs, titles):
    (discs / "bad.mp3").write_text("this is text")
    result = run(discs, "--json")
    bad, *found = json.loads(result.stdout)
    assert result.exit_code == 2 and bad["recording"].endswith("bad.mp3")
    assert "not audio" in bad["error"]
    assert [scan["entries"][0]["title"] for scan in found] == titles


def test_errors_are_json_if_the_output_is(tmp_path, capsys):
    (tmp_path / "bad.mp3").write_text("this is text")
    command = ["scan", str(tmp_path / "bad.mp3")]
    with pytest.raises(SystemExit) as end:
        console.run(arguments=[*command, "--json"])
    assert end.value.code == 2 and json.loads(capsys.readouterr().out)["kind"] == "AudioError"
    program = [sys.executable, "-m", "grafprint", *command, "--format", "json"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True)
    assert done.returncode == 2 and json.loads(done.stdout)["kind"] == "AudioError"
