"""Songs written as stems: levels, silence, interruption, folders, and messages."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from assets.stems.__main__ import main
from assets.stems.songs import Song, is_written, write_song, write_table
from grafprint import audio
from grafprint.errors import DataError
from tests.libraries import excerpt, write_wav

app = typer.Typer()
app.command()(main)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_stems_keep_their_levels_and_silent_ones_are_dropped(tmp_path: Path) -> None:
    one, two = excerpt(0, 20, 5), 0.5 * excerpt(1, 20, 5)
    stems = [("one", one), ("two", two), ("none", np.zeros_like(one))]
    assert write_song(tmp_path, Song("song", "package", "train", one + two, stems)) == 2
    written = {path.stem: audio.load(path) for path in (tmp_path / "package/song").glob("*.flac")}
    assert sorted(written) == ["mix", "one", "two"]
    difference = written["one"] + written["two"] - written["mix"]
    assert np.abs(difference).max() < 3 / 32767
    assert np.corrcoef(written["one"], one)[0, 1] > 0.9999


def test_an_interrupted_song_is_written_anew(tmp_path: Path) -> None:
    sound = excerpt(0, 20, 2)

    def stems():
        yield "one", sound
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_song(tmp_path, Song("song", "package", "train", sound, stems()))
    assert not is_written(tmp_path, "package", "song")
    assert write_table(tmp_path) == 0
    write_song(tmp_path, Song("song", "package", "train", sound))
    assert is_written(tmp_path, "package", "song")
    assert write_table(tmp_path) == 1


@pytest.mark.parametrize("length", [16_000, 0])
def test_a_silent_song_is_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="silent"):
        write_song(tmp_path, Song("song", "package", "train", np.zeros(length, np.float32)))


def test_stems_get_the_length_of_the_mix(tmp_path: Path) -> None:
    short, long = excerpt(0, 20, 2), excerpt(1, 20, 5)
    song = Song("song", "package", "train", excerpt(2, 20, 4), [("short", short), ("long", long)])
    write_song(tmp_path, song)
    written = {path.stem: audio.load(path) for path in (tmp_path / "package/song").glob("*.flac")}
    assert {len(sound) for sound in written.values()} == {4 * audio.SAMPLE_RATE}
    assert not written["short"][2 * audio.SAMPLE_RATE :].any()


def test_songs_of_one_name_are_all_written(tmp_path: Path) -> None:
    for number, album in enumerate(("one", "two")):
        write_wav(tmp_path / "mixes" / album / "intro.wav", excerpt(number, 20, 2))
        write_wav(tmp_path / "songs" / album / "intro" / "drums.wav", excerpt(number, 20, 2))
    command = [tmp_path / "out", "--songs", tmp_path / "songs", "--mixes", tmp_path / "mixes"]
    for _ in range(2):  # the second time, nothing is left to write
        code, output = run(*command)
        assert code == 0, output
        with (tmp_path / "out" / "stems.csv").open() as file:
            mixes = [(r["package"], r["song"]) for r in csv.DictReader(file) if r["stem"] == "mix"]
        assert sorted(mixes) == [
            (package, name) for package in ("mixes", "songs") for name in ("intro", "intro (2)")
        ]


def test_folders_of_songs_and_of_mixes_get_one_table_and_are_not_written_twice(
    tmp_path: Path,
) -> None:
    for split, number in (("train", 0), ("test", 1)):
        folder = tmp_path / "mus" / split / f"song {number}"
        write_wav(folder / "drums.wav", excerpt(number, 20, 3))
        write_wav(folder / "other.wav", excerpt(number, 40, 2.5))
    write_wav(tmp_path / "mixes" / "whole.wav", excerpt(2, 20, 3))
    (tmp_path / "mixes" / "broken.wav").write_bytes(b"RIFF nothing")
    command = [tmp_path / "out", "--songs", tmp_path / "mus", "--mixes", tmp_path / "mixes"]
    code, output = run(*command)
    assert code == 0, output
    assert "left out" in output
    with (tmp_path / "out" / "stems.csv").open() as file:
        rows = {(r["song"], r["stem"]): r for r in csv.DictReader(file)}
    assert {stem for song, stem in rows if song == "song 1"} == {"mix", "drums", "other"}
    assert rows["song 1", "drums"]["split"] == "test"
    assert rows["song 0", "mix"]["split"] == rows["whole", "mix"]["split"] == "train"
    mark = tmp_path / "out" / "mus" / "song 0" / "song.json"
    before = mark.stat().st_mtime_ns
    assert json.loads(mark.read_text())["rows"] == []
    run(*command)
    assert mark.stat().st_mtime_ns == before


def test_modules_need_libopenmpt(tmp_path: Path) -> None:
    code, output = run(tmp_path / "out", "--modules", tmp_path)
    assert code == 1
    assert "--libopenmpt" in output
    missing = tmp_path / "libopenmpt.so.0"
    code, output = run(tmp_path / "out", "--modules", tmp_path, "--libopenmpt", missing)
    assert code == 1
    assert "not a usable libopenmpt" in output
