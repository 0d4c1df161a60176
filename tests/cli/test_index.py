"""``grafprint index``: what it says, its exit status, and what it refuses to remove."""

import json
import shutil
from pathlib import Path

import pytest

from grafprint.cli import console
from grafprint.library import Library
from tests.cli.commands import grafprint
from tests.libraries import excerpt, write_music, write_wav


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command says that ends with status 2."""
    with pytest.raises(SystemExit) as end:
        console.run(arguments=[str(a) for a in arguments])
    assert end.value.code == 2
    return "".join(capsys.readouterr())


def test_the_report_is_json_for_programs(folder: Path, tmp_path: Path):
    (folder / "bad.mp3").write_text("no audio")
    report = json.loads(grafprint("index", folder, "-l", tmp_path / "new", "--json"))
    assert [Path(path).name for path in report["added"]] == [f"track {n}.wav" for n in range(3)]
    assert "bad.mp3" in report["failed"][0]["reason"]
    assert report["tracks"] == 3 and report["fingerprints"] == 33


@pytest.mark.parametrize(
    "name, message",
    [("nowhere", "no folder or file"), ("empty", "no audio"), ("bad", "no file of")],
)
def test_folders_without_music_are_errors_and_leave_no_library(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    for number in range(2):
        (tmp_path / "bad" / f"{number}.mp3").write_text("no audio")
    assert message in refusal(capsys, "index", tmp_path / name, "-l", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_reasons_are_in_the_json_when_nothing_can_be_used(tmp_path: Path):
    (tmp_path / "bad.mp3").write_text("no audio")
    new = tmp_path / "new"
    report = json.loads(grafprint("index", tmp_path / "bad.mp3", "-l", new, "--json", status=2))
    assert "bad.mp3" in report["failed"][0]["reason"] and report["tracks"] == 0
    assert not new.exists()


def test_a_folder_that_was_there_is_kept_when_nothing_can_be_indexed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep me")
    (tmp_path / "bad.mp3").write_text("no audio")
    assert "bad.mp3" in refusal(capsys, "index", tmp_path / "bad.mp3", "-l", tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").is_file()


def test_pruning_an_unmounted_drive_removes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    library, drive = tmp_path / "new", tmp_path / "unmounted"
    grafprint("index", folder, "-l", library)
    folder.rename(drive)
    folder.mkdir()
    update = ("index", folder, "-l", library, "--prune")
    assert "is a drive not mounted?" in refusal(capsys, *update)
    # The same when the mount point holds a file of its own.
    write_wav(folder / "other.wav", excerpt(5, 20, 2.0))
    message = refusal(capsys, *update)
    assert "3 of 4 tracks are no longer in" in message and "--force" in message
    with Library.open(library) as opened:
        assert len(opened.tracks()) == 4
    report = json.loads(grafprint(*update, "--force", "--json"))
    assert len(report["removed"]) == 3 and report["tracks"] == 1


def test_an_empty_folder_may_be_pruned_when_insisted_on(folder: Path, tmp_path: Path):
    grafprint("index", folder, "-l", tmp_path / "new")
    shutil.rmtree(folder)
    folder.mkdir()
    output = grafprint("index", folder, "-l", tmp_path / "new", "--prune", "--force")
    assert "the library has 0 tracks" in output


def test_renamed_folders_lose_nothing_when_pruned(tmp_path: Path):
    write_music(tmp_path / "music/old name", 3)
    grafprint("index", tmp_path / "music", "-l", tmp_path / "new")
    (tmp_path / "music/old name").rename(tmp_path / "music/new name")
    report = json.loads(
        grafprint("index", tmp_path / "music", "-l", tmp_path / "new", "--prune", "--json")
    )
    assert len(report["removed"]) == 3 and report["tracks"] == 3
