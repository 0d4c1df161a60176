"""Music folders with malicious or odd files: strange names, endless tags."""

import json
import os
import sys
from pathlib import Path

import mutagen.id3
import pytest
from typer.testing import CliRunner

from grafprint.cli import app
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests import audio_files
from tests.libraries import excerpt, write_wav

NAMES = [
    "new\nline.wav",
    "tab\tand\rreturn.wav",
    "'; DROP TABLE tracks; --.wav",
    '"quoted" `name` $(touch owned).wav',
    "--library=elsewhere.wav",
    "<img src=x onerror=alert(1)>.wav",
    "%s%n%x{0}.wav",
    "\u202egnp.wav",
    "e\u0301\U0001f3b5.wav",
    "x" * 250 + ".wav",
    " .wav",
    "bell\x07escape\x1b[31m.wav",
]


def test_strange_names_are_indexed(tmp_path: Path, fingerprinter: Fingerprinter):
    music = tmp_path / "music"
    for number, name in enumerate(NAMES):
        write_wav(music / name, excerpt(number, 20, 1.2))
    with Library.create(tmp_path / "library", fingerprinter) as library:
        report = library.add_folder(music, fingerprinter)
        assert report.failed == [] and len(report.added) == len(NAMES)
        assert len(library.tracks()) == len(NAMES)
        assert {Path(track.path).name for track in library.tracks()} == set(NAMES)
        assert all(path and path.is_file() for path in map(library.audio_path, library.tracks()))
    runner = CliRunner()
    listed = runner.invoke(app, ["library", "list", "--library", str(tmp_path / "library")])
    assert listed.exit_code == 0, listed.output
    asked = ["identify", str(music / NAMES[0]), "--library", str(tmp_path / "library"), "--json"]
    found = runner.invoke(app, asked)
    assert found.exit_code == 0, found.output
    assert "\x1b" not in listed.output and json.loads(found.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_a_name_that_is_not_unicode(tmp_path: Path, fingerprinter: Fingerprinter):
    music = tmp_path / "music"
    plain = write_wav(music / "plain.wav", excerpt(0, 20, 1.2))
    os.rename(plain, os.fsencode(music) + b"/caf\xe9.wav")
    write_wav(plain, excerpt(1, 20, 1.2))
    with Library.create(tmp_path / "library", fingerprinter) as library:
        report = library.add_folder(music, fingerprinter)
        assert len(report.added) >= 1 and len(report.added) + len(report.failed) == 2
        for _, reason in report.failed:
            assert "name" in reason
        report = library.add_folder(music, fingerprinter)
        assert report.added == []


def test_endless_tags_are_cut(tmp_path: Path, fingerprinter: Fingerprinter):
    path = audio_files.write(
        tmp_path / "tagged.mp3", audio_files.music(1.5, 44_100, 1), 44_100, "libmp3lame"
    )
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.TIT2(encoding=3, text="title " * 2_000_000))
    tags.add(mutagen.id3.TPE1(encoding=3, text=["artist"] * 100_000))
    tags.add(mutagen.id3.APIC(encoding=3, mime="image/png", type=3, data=bytes(20_000_000)))
    tags.save(path)
    assert path.stat().st_size > 30_000_000
    with Library.create(tmp_path / "library", fingerprinter) as library:
        library.add(path, fingerprinter)
        (track,) = library.tracks()
    assert track.title.startswith("title title") and len(track.title) <= 501
    assert len(track.artist) <= 501
    assert (tmp_path / "library" / "library.sqlite3").stat().st_size < 200_000
