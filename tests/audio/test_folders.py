"""Finding audio files in folders: hidden files, links and unreadable folders."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from grafprint import audio
from grafprint.audio.datasets import find_clips, find_music
from grafprint.audio.folders import Failure, audio_files
from grafprint.errors import LibraryError
from tests.audio_files import music


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


def test_music_whose_name_begins_with_a_dot_is_found(tmp_path: Path):
    for name in ("...And Justice/01.opus", ".38 Special.mp3", ".git/x.wav", ".DS_Store", "._a.mp3",
                 ".hidden.flac", "..two.wav"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    passed_over: list[Failure] = []
    found = audio_files(tmp_path, [], passed_over)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "...And Justice/01.opus",
        "..two.wav",
        ".38 Special.mp3",
    ]
    assert [Path(path).name for path, _ in passed_over] == [".git", ".hidden.flac"]
    assert all("begins with a dot" in reason for _, reason in passed_over)


@pytest.mark.parametrize(
    ("name", "format_name", "codec"),
    [("noext", "mp3", "libmp3lame"), ("noext", "mp2", "mp2"), ("noext", "adts", "aac"),
     ("noext", "wav", "pcm_s16le"), ("noext", "ogg", "libopus"), ("noext", "flac", "flac"),
     ("noext", "mp4", "aac"), ("noext", "matroska", "libopus"), ("noext", "aiff", "pcm_s16be"),
     ("noext", "au", "pcm_s16be"), ("noext", "caf", "pcm_s16be"), ("noext", "asf", "libmp3lame"),
     ("noext", "voc", "pcm_u8"), ("noext", "tta", "tta"), ("noext", "ac3", "ac3"),
     ("No. 9", "mp3", "libmp3lame"), ("a.m4r", "mp4", "aac"), ("a.3ga", "mp4", "aac"),
     ("a.bwf", "wav", "pcm_s16le"), ("a.mpga", "mp2", "mp2"), ("a.adts", "adts", "aac")],
)  # fmt: skip
def test_audio_of_any_name_is_found_and_decoded(tmp_path, name, format_name, codec):
    sound = music(1, 48_000)[:, 0]
    with av.open(str(tmp_path / name), "w", format=format_name) as container:
        stream = container.add_stream(codec, 48_000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        piece = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "flt", "mono")
        piece.sample_rate, piece.pts = 48_000, 0
        container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    assert audio_files(tmp_path, []) == [tmp_path / name]
    assert len(audio.load(tmp_path / name)) == pytest.approx(audio.SAMPLE_RATE, rel=0.1)


def test_what_is_passed_over_is_said_with_the_reason(tmp_path: Path):
    for name in ("cover.jpg", "notes.txt", "songs.m3u", "disc.cue"):  # nobody expects these
        (tmp_path / name).write_text("x")
    (tmp_path / "letter").write_text("Dear listener", encoding="utf-16")
    (tmp_path / "song.xyz").write_bytes(bytes(100))
    (tmp_path / "empty").touch()
    passed_over: list[Failure] = []
    assert audio_files(tmp_path, [], passed_over) == []
    assert [Path(path).name for path, _ in passed_over] == ["empty", "letter", "song.xyz"]
    assert {reason for _, reason in passed_over} == {
        "it is not audio of a format that is supported"
    }


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
