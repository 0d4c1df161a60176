"""``grafprint identify``: many clips, folders, standard input, formats and exit statuses."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from grafprint.cli import clip_files, console, identify
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.cli.commands import grafprint, run
from tests.libraries import excerpt, write_wav


@pytest.fixture(autouse=True)
def loads(fingerprinter: Fingerprinter, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bundled network, loaded once for all tests; the list notes each time it is asked for."""
    asked: list[object] = []

    def load(*arguments: object, **options: object) -> Fingerprinter:
        asked.append(arguments)
        return fingerprinter

    monkeypatch.setattr(Fingerprinter, "load", load)
    return asked


@pytest.fixture
def discs(tmp_path: Path, fingerprinter: Fingerprinter) -> Path:
    """A library of two untagged files of the same name, on two discs."""
    for disc in (1, 2):
        write_wav(tmp_path / f"cds/disc{disc}/01.wav", excerpt(disc, 20, 4.0))
    with Library.create(tmp_path / "library", fingerprinter) as library:
        library.add_folder(tmp_path / "cds", fingerprinter)
    return library.path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of four clips: of both tracks, of other music, and one that is no audio."""
    for disc in (1, 2):
        write_wav(tmp_path / f"clips/of {disc}.wav", excerpt(disc, 21, 2.0))
    write_wav(tmp_path / "clips/other.wav", excerpt(9, 20, 2.0))
    (tmp_path / "clips/text.mp3").write_text("no audio")
    return tmp_path / "clips"


def test_a_folder_is_identified_with_one_loading(discs: Path, clips: Path, loads: list[object]):
    output = grafprint("identify", clips, "-l", discs, "--json", status=2)
    assert len(loads) == 1
    named, same, other, bad = json.loads(output)
    assert [Path(o["path"]).name for o in (named, same)] == ["of 1.wav", "of 2.wav"]
    tracks = {row["id"]: row for row in json.loads(
        grafprint("library", "list", "-l", discs, "--json"))}  # fmt: skip
    for outcome, disc in ((named, 1), (same, 2)):
        best = outcome["matches"][0]
        assert outcome["identified"] and best["path"].endswith(f"disc{disc}/01.wav")
        assert tracks[best["track"]]["path"] == best["path"]
        assert (best["duration_s"], best["start_s"]) == (4.0, pytest.approx(1.0, abs=0.06))
    assert other["identified"] is False
    assert "not audio" in bad["error"] and "matches" not in bad


def test_the_table_tells_files_of_the_same_name_apart(discs: Path, clips: Path, monkeypatch):
    monkeypatch.setattr(console.out, "width", 200)
    output = grafprint("identify", clips, "-l", discs, status=2)
    assert "2 named, 1 not in this library, 1 left out" in output
    assert f"not in this library: {clips / 'other.wav'}" in output
    assert "left out: " in output and "text.mp3" in output
    for disc in (1, 2):
        (row,) = [line for line in output.splitlines() if f"of {disc}.wav" in line]
        assert f"01 (disc{disc}/01.wav)" in row and "0:04.0" in row and "0:01.0" in row
        alone = grafprint("identify", clips / f"of {disc}.wav", "-l", discs)
        assert f"is 01 (disc{disc}/01.wav), from 0:01.0" in alone
    assert "01 (disc2/01.wav)" in grafprint("library", "list", "-l", discs)


def test_csv_has_a_row_for_each_clip(discs: Path, clips: Path):
    output = grafprint("identify", clips, "-l", discs, "--csv", status=2)
    rows = list(csv.DictReader(output.splitlines()))
    assert [Path(row["path"]).name for row in rows] == [
        "of 1.wav", "of 2.wav", "other.wav", "text.mp3",
    ]  # fmt: skip
    assert [row["identified"] for row in rows] == ["1", "1", "0", ""]
    assert rows[0]["track"] != rows[1]["track"] and rows[1]["track_path"].endswith("disc2/01.wav")
    assert float(rows[0]["duration_s"]) == 4 and float(rows[0]["confidence"]) > 0.9
    assert rows[2]["track"] == "" and "not audio" in rows[3]["error"]


def test_the_exit_status_says_whether_anything_was_named(discs: Path, clips: Path):
    grafprint("identify", clips / "of 1.wav", "-l", discs, status=0)
    grafprint("identify", clips / "other.wav", "-l", discs, status=1)
    grafprint("identify", clips / "of 1.wav", clips / "other.wav", "-l", discs, status=0)
    grafprint("identify", clips / "of 1.wav", clips / "nowhere.wav", "-l", discs, status=2)


def test_errors_that_concern_every_clip_are_told_once(
    clips: Path, library: Library, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["identify", str(clips), "-l", str(library.path), "--json"])
    output = capsys.readouterr()
    assert end.value.code == 2 and "is empty" in json.loads(output.out)["error"]


def test_a_folder_without_audio_is_an_error(
    tmp_path: Path, discs: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["identify", str(tmp_path / "empty"), "-l", str(discs)])
    assert end.value.code == 2 and "there is no audio" in capsys.readouterr().err


def test_a_clip_comes_from_standard_input(
    discs: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    done = run("identify", "-", "-l", discs, "--json", stdin=(clips / "of 2.wav").read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert answer["path"] == "-" and answer["matches"][0]["path"].endswith("disc2/01.wav")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["identify", "-", "-l", str(discs)])
    assert end.value.code == 2 and "standard input" in capsys.readouterr().err


def test_what_was_found_before_an_interruption_is_printed(
    discs: Path, clips: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file_of = clip_files.file_of

    def interrupted(clip: Path):
        if clip.name == "other.wav":
            raise KeyboardInterrupt
        return file_of(clip)

    monkeypatch.setattr(identify, "file_of", interrupted)
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["identify", str(clips), "-l", str(discs), "--json"])
    assert end.value.code == 130
    assert len(json.loads(capsys.readouterr().out)) == 2
