"""``grafprint tag``: one clip, many clips, formats, over time, exit statuses, messages."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grafprint.cli import clip_files, console
from grafprint.tagging import ClipTagger
from tests import taggers
from tests.cli.commands import grafprint, run
from tests.libraries import write_wav
from tests.training.labelled_clips import clip

pytestmark = pytest.mark.usefixtures("wide")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger, and a folder of clips: two sounds, silence, no audio, and a hidden file."""
    root = tmp_path_factory.mktemp("tag")
    taggers.save(root / "tagger.safetensors")
    for label in ("Hiss", "Hum"):
        write_wav(root / f"clips/{label}.wav", clip(label, 30, 4.0).astype(np.float32))
    write_wav(root / "clips/nothing.wav", np.zeros(32_000, np.float32))
    (root / "clips/text.mp3").write_text("no audio")
    (root / "clips/.hidden.wav").write_bytes((root / "clips/Hum.wav").read_bytes())
    return root


def tagged(place: Path, *arguments: object, status: int = 0) -> str:
    given = (place / a if isinstance(a, str) and a.startswith("clips") else a for a in arguments)
    return grafprint("tag", *given, "--tagger", place / "tagger.safetensors", status=status)


def test_one_clip_is_a_sentence_and_a_table(place: Path):
    output = tagged(place, "clips/Hum.wav")
    assert f"{place / 'clips/Hum.wav'} sounds like Hum" in output
    assert "probability" in output and "peak" in output and " to 0:0" in output
    assert "from" not in output
    over_time = tagged(place, "clips/Hum.wav", "--over-time", "--hop", 1, "--top", 2)
    assert len([line for line in over_time.splitlines() if "0:0" in line]) == 2 + 3  # windows


def test_a_clip_whose_labels_are_unlikely_is_not_said_to_sound_like_one(
    place: Path, tmp_path: Path
):
    """As a café full of people was said to sound like a chainsaw, at 29 %."""
    unsure = {"scale": [0.01] * 3, "bias": [-1.0] * 3}
    taggers.save(tmp_path / "tagger.safetensors", calibration=unsure)
    output = grafprint("tag", place / "clips/Hum.wav", "--tagger", tmp_path / "tagger.safetensors")
    assert "sounds like no label for certain; Hum is the likeliest" in output


def test_a_folder_is_tagged_with_one_loading(place: Path, monkeypatch: pytest.MonkeyPatch):
    loads = []
    load = ClipTagger.load

    def noted(*arguments: Any) -> ClipTagger:
        loads.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(ClipTagger, "load", noted)
    output = tagged(place, "clips", status=2)
    assert len(loads) == 1
    assert "2 tagged, 1 without a label, 1 left out" in output
    rows = [line for line in output.splitlines() if "0:04.0" in line]
    assert len(rows) == 2
    for row, label in zip(rows, ("Hiss", "Hum"), strict=True):
        assert f"{label}.wav" in row and row.split("0:04.0")[1].split()[1] == label
    assert "nothing.wav is silent: it has no labels" in output
    assert "left out: " in output and "text.mp3" in output


def test_passed_over_files_are_reported_beside_the_output(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit):
        console.run(arguments=["tag", str(place / "clips"), "--json", "--tagger",
                               str(place / "tagger.safetensors")])  # fmt: skip
    output = capsys.readouterr()
    json.loads(output.out)
    assert "passed over: " in output.err and ".hidden.wav" in output.err


def test_json_has_the_tags(place: Path):
    found = json.loads(tagged(place, "clips/Hiss.wav", "--json", "--over-time", "--top", 2))
    assert found["path"].endswith("Hiss.wav") and found["duration_s"] == 4 and not found["silent"]
    best = found["tags"][0]
    assert best["label"] == "Hiss" and best["peak"] >= best["probability"] > 0.5
    assert len(found["tags"]) <= 2
    assert found["over_time"][0]["start_s"] == 0 and found["over_time"][-1]["end_s"] == 4
    assert set(found["over_time"][0]["probabilities"]) == {t["label"] for t in found["tags"]}
    hiss, hum, silent, bad = json.loads(tagged(place, "clips", "--json", status=2))
    assert [c["tags"][0]["label"] for c in (hiss, hum)] == ["Hiss", "Hum"]
    assert "over_time" not in hiss
    assert silent["silent"] and silent["tags"] == []
    assert "not audio" in bad["error"] and "tags" not in bad


def test_csv_has_a_row_for_each_label(place: Path):
    rows = list(csv.DictReader(tagged(place, "clips", "--csv", status=2).splitlines()))
    first = [row for row in rows if row["path"].endswith("Hiss.wav")]
    assert first[0]["label"] == "Hiss" and float(first[0]["probability"]) > 0.5
    (silent,) = [row for row in rows if row["path"].endswith("nothing.wav")]
    assert silent["label"] == "" and float(silent["duration_s"]) == 2
    (bad,) = [row for row in rows if row["path"].endswith("text.mp3")]
    assert "not audio" in bad["error"]
    output = tagged(place, "clips/Hum.wav", "--csv", "--over-time", "--hop", 1, "--top", 1)
    over_time = list(csv.DictReader(output.splitlines()))
    assert [row["label"] for row in over_time] == ["Hum"] * 3
    assert float(over_time[-1]["end_s"]) == 4


def test_the_exit_status_says_whether_there_is_a_label(place: Path):
    tagged(place, "clips/nothing.wav", status=1)
    tagged(place, "clips/nothing.wav", "clips/Hum.wav", status=0)
    output = tagged(place, "clips/Hum.wav", "--least", 1, status=1)
    assert "has no label of 100 % or more (--least)" in output
    tagged(place, "clips/Hum.wav", "clips/text.mp3", status=2)


def test_a_part_of_a_clip(place: Path):
    options = ("--start", 1, "--duration", 2.5, "--json")
    assert json.loads(tagged(place, "clips/Hum.wav", *options))["duration_s"] == 2.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clips/text.mp3",), "not audio"),
        (("clips/nowhere.wav",), "nowhere.wav"),
        (("clips/Hum.wav", "--hop", "30"), "the hop is above 0 and at most 2.048 s"),
        (("clips/Hum.wav", "--device", "abacus"), "--device abacus cannot be used"),
        (("clips/Hum.wav", "--csv"), "--json and --csv exclude each other"),
    ],
)
def test_errors_are_json_too(
    place: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
):
    first, *rest = arguments
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["tag", str(place / first), *rest, "--json", "--tagger",
                               str(place / "tagger.safetensors")])  # fmt: skip
    output = capsys.readouterr()
    assert end.value.code == 2 and message in json.loads(output.out)["error"]


def test_without_a_bundled_tagger_the_message_says_what_to_do(
    place: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("grafprint.tagging.tagger.DEFAULT_TAGGER", place / "none.safetensors")
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["tag", str(place / "clips/Hum.wav")])
    error = capsys.readouterr().err
    assert end.value.code == 2 and "--tagger" in error and "docs/tagging.md" in error


def test_what_was_tagged_before_an_interruption_is_printed(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file_of = clip_files.file_of

    def interrupted(path: Path):
        if path.name == "Hum.wav":
            raise KeyboardInterrupt
        return file_of(path)

    monkeypatch.setattr("grafprint.cli.tag.file_of", interrupted)
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["tag", str(place / "clips"), "--json", "--tagger",
                               str(place / "tagger.safetensors")])  # fmt: skip
    assert end.value.code == 130
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_a_clip_comes_from_standard_input(place: Path):
    done = run("tag", "-", "--tagger", place / "tagger.safetensors", "--json",
               stdin=(place / "clips/Hum.wav").read_bytes())  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["tags"][0]["label"] == "Hum"
