"""Finding audio files in folders: hidden files, links and unreadable folders."""

import os
from pathlib import Path

import pytest

from grafprint.audio.datasets import find_clips, find_music
from grafprint.audio.folders import Failure, audio_files
from grafprint.errors import LibraryError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two tracks, one of them behind links, among files to leave out."""
    folder, elsewhere = tmp_path / "music", tmp_path / "elsewhere"
    for path in (
        folder / "b" / "track.wav",
        folder / "b" / "._track.wav",  # macOS's resource forks
        folder / ".trash" / "deleted.wav",
        folder / "notes.txt",
        elsewhere / "LINKED.MP3",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "folder.wav").mkdir()
    (folder / "a link").symlink_to(elsewhere)
    (folder / "the same again").symlink_to(elsewhere)
    (folder / "b" / "circle").symlink_to(folder)
    return folder


def test_links_are_followed_once_and_hidden_files_left_out(tree: Path):
    found = audio_files(tree, [])
    assert [path.name for path in found] == ["LINKED.MP3", "track.wav"]
    assert found == sorted(found)


def test_music_noises_and_responses_are_found_by_the_same_rule(tree: Path):
    found = audio_files(tree, [])
    for find in (find_music, find_clips):
        assert [file.path for file in find(tree)] == found
        assert [file.track for file in find(tree)] == [str(path) for path in found]
    for path in (tree / "._air_phone_kitchen_hhp.mat", tree / ".trash" / "air_phone_x_hhp.mat"):
        path.touch()
    assert [file.path for file in find_clips(tree)] == found
    (tree.parent / "elsewhere" / "air_phone_office_hhp.mat").touch()
    assert [file.path.name for file in find_clips(tree)] == ["air_phone_office_hhp.mat"]


def test_unreadable_folders_are_reported(tree: Path, monkeypatch, caplog):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    failed: list[Failure] = []
    assert [path.name for path in audio_files(tree, failed)] == ["LINKED.MP3"]
    assert [failure.path for failure in failed] == [str(tree / "b")]
    assert len(find_music(tree)) == 1
    assert f"{tree / 'b'}: cannot read it: Permission denied" in caplog.text


def test_a_file_is_returned_and_a_missing_folder_refused(tree: Path):
    assert audio_files(tree / "notes.txt", []) == [tree / "notes.txt"]
    with pytest.raises(LibraryError, match="there is no folder or file"):
        audio_files(tree / "missing", [])
