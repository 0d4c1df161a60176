"""Parts of a folder: together they are the whole, and each stays as it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from grafprint.cli import console
from grafprint.errors import ConfigError, LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.part import Part
from tests.cli.commands import grafprint
from tests.libraries import write_music


@pytest.mark.parametrize(
    "text, message",
    [
        ("0/16", "there is no part 0/16: parts go from 1/16 to 16/16"),
        ("17/16", "there is no part 17/16: parts go from 1/16 to 16/16"),
        ("3/0", "parts go from 1/1 to 1/1"),
        ("third", "'third' is not a part: give its number and how many there are, such as 3/16"),
        ("3", "is not a part"),
        ("-1/4", "is not a part"),
        ("1.5/4", "is not a part"),
    ],
)
def test_what_is_no_part_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Part.parse(text)
    assert Part.parse(" 3/16 ") == Part(3, 16) and str(Part(3, 16)) == "3/16"


def test_every_file_is_in_one_part_wherever_its_folder_is(tmp_path):
    """Also with names that are no text, and below a linked folder."""
    names = [f"{n}.wav" for n in range(200)] + ["a/b/ü.wav", "a/\udcff.wav"]
    parts = {name: [p for p in range(1, 8) if has(tmp_path, name, p)] for name in names}
    assert all(len(found) == 1 for found in parts.values())
    sizes = [sum(found == [p] for found in parts.values()) for p in range(1, 8)]
    assert min(sizes) > 15
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    for name in names:
        again = [p for p in range(1, 8) if has(tmp_path / "linked", name, p)]
        assert again == parts[name]
    assert [*Part(2, 3).numbers(8)] == [1, 4, 7]


def has(folder: Path, name: str, number: int) -> bool:
    return Part(number, 7).has_file(folder / name, folder)


def test_a_file_has_one_part_under_the_name_of_a_linked_folder(tmp_path):
    write_music(tmp_path / "music" / "real", 2)
    (tmp_path / "music" / "link").symlink_to(tmp_path / "music" / "real")
    for number in (1, 2, 3):
        part = Part(number, 3)
        for name in ("track 0.wav", "track 1.wav"):
            paths = [tmp_path / "music" / place / name for place in ("real", "link")]
            assert len({part.has_file(path, tmp_path / "music") for path in paths}) == 1


def test_parts_make_the_library_of_the_whole_folder(tmp_path, fingerprinter):
    """Each adds, reports and prunes its own files only."""
    files = write_music(tmp_path / "music", 6)
    (tmp_path / "music" / "bad.mp3").write_bytes(b"no sound")
    (tmp_path / "music" / ".hidden.wav").write_bytes(files[0].read_bytes())
    parts = [Part(number, 3) for number in (1, 2, 3)]
    with Library.create(tmp_path / "whole", fingerprinter) as whole:
        wanted = whole.add_folder(tmp_path / "music", fingerprinter)
    with Library.create(tmp_path / "shared", fingerprinter) as shared:
        for _ in range(2):
            reports = [shared.add_folder(tmp_path / "music", fingerprinter, part=p) for p in parts]
            for name in ("failed", "passed_over"):
                found = sorted(failure for report in reports for failure in getattr(report, name))
                assert found == getattr(wanted, name)
        unchanged = [path for report in reports for path in report.unchanged]
        assert sorted(unchanged) == sorted(map(str, files))
        with Library.open(tmp_path / "whole") as whole:
            assert_same_tracks(whole, shared)

        gone = files[2]
        (own,) = [part for part in parts if part.has_file(gone, tmp_path / "music")]
        gone.unlink()
        for part in parts:
            report = shared.add_folder(tmp_path / "music", fingerprinter, part=part, prune=True)
            assert report.removed == ([str(gone)] if part == own else [])
        assert len(shared.tracks()) == 5


def assert_same_tracks(one, other):
    """The same content and fingerprints, in any order.

    Processes may compute them in other precisions, and round differently.
    """
    tracks = [sorted(lib.tracks(), key=lambda t: t.content_hash) for lib in (one, other)]
    assert len(tracks[0]) == len(tracks[1])
    for ours, theirs in zip(*tracks, strict=True):
        assert (ours.title, ours.content_hash, ours.count) == (
            theirs.title, theirs.content_hash, theirs.count
        )  # fmt: skip
        rows = np.arange(ours.count)
        vectors = one.vectors(ours.first + rows), other.vectors(theirs.first + rows)
        assert np.array_equal(*(part.any(axis=1) for part in vectors))
        likeness = (vectors[0] * vectors[1]).sum(axis=1)[vectors[0].any(axis=1)]
        assert likeness.min() > 0.99


def test_the_command_does_a_part(tmp_path, capsys, fingerprinter, monkeypatch):
    monkeypatch.setattr(Fingerprinter, "load", lambda *_, **__: fingerprinter)
    files = write_music(tmp_path / "music", 3)
    (tmp_path / "music" / "bad.mp3").write_bytes(b"no sound")
    place = ("--library", tmp_path / "library", "--json")
    added = []
    for part in (Part(number, 5) for number in range(1, 6)):
        bad = part.has_file(tmp_path / "music" / "bad.mp3", tmp_path / "music")
        alone = not any(part.has_file(file, tmp_path / "music") for file in files)
        status = 2 if bad and alone else 0  # other parts find nothing to do
        done = json.loads(
            grafprint("index", tmp_path / "music", *place, "--part", part, status=status)
        )
        added += done["added"]
    assert sorted(added) == sorted(map(str, files)) and done["tracks"] == 3
    for text, message in (("0/16", "1/16 to 16/16"), ("x", "such as 3/16")):
        with pytest.raises(SystemExit) as end:
            console.run(arguments=["index", str(tmp_path), "-l", "there", "--part", text])
        output = " ".join("".join(capsys.readouterr()).split())
        assert end.value.code == 2 and message in output.replace(" │ │ ", " ")
    with pytest.raises(ConfigError, match="library tag"):
        grafprint("index", tmp_path / "music", *place, "--part", "1/2", "--tags")


def test_one_writer_at_a_time_writes_to_a_folder(tmp_path, fingerprinter, monkeypatch):
    monkeypatch.setattr(Fingerprinter, "load", lambda *_, **__: fingerprinter)
    write_music(tmp_path / "music", 2)
    with (
        Library.create(tmp_path / "library", fingerprinter),
        pytest.raises(LibraryError, match="another program"),
    ):
        grafprint("index", tmp_path / "music", "-l", tmp_path / "library", "--part", "1/2")
