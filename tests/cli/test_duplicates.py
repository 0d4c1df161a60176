"""``grafprint library duplicates`` on files that share music."""

import json
import shutil
from pathlib import Path

from grafprint.cli import console
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.cli.commands import grafprint
from tests.libraries import excerpt, write_wav


def test_duplicates_are_listed_with_places_and_equal_files(
    library: Library, fingerprinter: Fingerprinter, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(console.out, "width", 200)
    music = tmp_path / "music"
    write_wav(music / "a/01.wav", excerpt(3, 10, 12.0))
    write_wav(music / "b/01.wav", excerpt(3, 14, 8.0))
    write_wav(music / "c/01.wav", excerpt(7, 10, 8.0))
    shutil.copy(music / "c/01.wav", music / "c/copy.wav")
    library.add_folder(music, fingerprinter)
    found = json.loads(grafprint("library", "duplicates", "-l", library.path, "--json"))
    (shared,) = found["shared"]
    assert [track["path"] for track in shared["tracks"]] == [
        "../music/a/01.wav",
        "../music/b/01.wav",
    ]
    first, second = (track["start_s"] for track in shared["tracks"])
    assert abs(first - second - 4) < 0.1 and shared["duration_s"] > 7
    assert [len(equal["paths"]) for equal in found["equal_files"]] == [2]
    text = grafprint("library", "duplicates", "-l", library.path)
    assert "1 01 (a/01.wav)" in text and "2 01 (b/01.wav)" in text and "equal files of 3" in text


def test_different_music_has_nothing_in_common(
    library: Library, folder: Path, fingerprinter: Fingerprinter
):
    library.add_folder(folder, fingerprinter)
    assert "no two tracks" in grafprint("library", "duplicates", "-l", library.path)
