"""Tags of a library's tracks: ``library tag``, ``index --tags``, ``library list --tag``."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from grafprint.errors import ConfigError, LibraryError
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests import taggers
from tests.cli.commands import grafprint
from tests.libraries import excerpt, write_wav
from tests.paths import ASSETS
from tests.training.labelled_clips import clip

pytestmark = pytest.mark.usefixtures("wide")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger, and a folder of three sounds."""
    root = tmp_path_factory.mktemp("tags")
    taggers.save(root / "tagger.safetensors")
    write_wav(root / "music/hiss.wav", clip("Hiss", 30, 3.0).astype(np.float32))
    write_wav(root / "music/hum.wav", clip("Hum", 30, 3.0).astype(np.float32))
    write_wav(root / "music/song.wav", excerpt(1, 20, 3.0))
    return root


@pytest.fixture
def library(music: Path, tmp_path: Path) -> Path:
    """A library of them, not tagged."""
    fingerprinter = Fingerprinter.load(ASSETS / "grafprint-fast.safetensors")
    with Library.create(tmp_path / "library", fingerprinter) as made:
        made.add_folder(music / "music", fingerprinter)
    return tmp_path / "library"


def tag(music: Path, library: Path, *options: object, status: int = 0) -> str:
    tagger = music / "tagger.safetensors"
    return grafprint("library", "tag", "-l", library, "--tagger", tagger, *options, status=status)


def test_tracks_are_tagged_once(music: Path, library: Path):
    assert "3 tracks tagged, 0 had tags already, 0 left out" in tag(music, library)
    assert "0 tracks tagged, 3 had tags already, 0 left out" in tag(music, library)
    report = json.loads(tag(music, library, "--json"))
    assert report == {"tagged": [], "unchanged": 3, "failed": []}


def test_tracks_are_listed_with_what_they_sound_like(music: Path, library: Path):
    before = grafprint("library", "list", "-l", library)
    assert "sounds like" not in before
    assert "tags" not in json.loads(grafprint("library", "list", "-l", library, "--json"))[0]
    assert "tagged" not in grafprint("library", "info", "-l", library)
    tag(music, library)
    (row,) = [line for line in grafprint("library", "list", "-l", library).splitlines()
              if "hum" in line]  # fmt: skip
    assert "Hum " in row and " %" in row
    tracks = json.loads(grafprint("library", "list", "-l", library, "--json"))
    assert [t["tags"][0]["label"] for t in tracks] == ["Hiss", "Hum", "Music"]
    assert all(t["tags"][0]["probability"] > 0.5 for t in tracks)
    rows = list(csv.DictReader(grafprint("library", "list", "-l", library, "--csv").splitlines()))
    assert [row["title"] for row in rows] == ["hiss", "hum", "song"]
    label, probability = rows[1]["tags"].split(";")[0].split(":")
    assert label == "Hum" and float(probability) == tracks[1]["tags"][0]["probability"]
    assert "; 3 tracks are tagged" in grafprint("library", "info", "-l", library)
    assert json.loads(grafprint("library", "info", "-l", library, "--json"))["tagged"] == 3


def test_tracks_are_found_by_their_tags(music: Path, library: Path):
    tag(music, library)

    def found(*options: object) -> list[str]:
        output = grafprint("library", "list", "-l", library, "--json", *options)
        return [track["title"] for track in json.loads(output)]

    assert found("--tag", "Music") == ["song"] and found("--tag", "hum") == ["hum"]
    everything = found("--tag", "Hum", "--least", 0)
    assert everything[0] == "hum" and len(everything) == 3  # the likeliest first
    assert found("--tag", "Hum", "--tag", "Music") == []
    assert found("--tag", "Hum", "--search", "song") == []


def test_a_tag_that_no_track_has_is_refused_with_those_that_there_are(music: Path, library: Path):
    with pytest.raises(LibraryError, match="have no tags: run  grafprint library tag"):
        grafprint("library", "list", "-l", library, "--tag", "Music")
    tag(music, library)
    with pytest.raises(LibraryError, match=r"no track has the tag 'Bagpipes'; there are: .*Hum"):
        grafprint("library", "list", "-l", library, "--tag", "Bagpipes")
    with pytest.raises(ConfigError, match="--json and --csv exclude each other"):
        grafprint("library", "list", "-l", library, "--json", "--csv")


def test_tracks_that_cannot_be_tagged_are_listed(music: Path, tmp_path: Path):
    write_wav(tmp_path / "music/a.wav", excerpt(2, 20, 2.0))
    write_wav(tmp_path / "music/b.wav", excerpt(3, 20, 2.0))
    options = ("-l", tmp_path / "library", "--fast")
    grafprint("index", tmp_path / "music", *options)
    (tmp_path / "music/a.wav").unlink()
    output = tag(music, tmp_path / "library", status=2)
    assert "1 tracks tagged, 0 had tags already, 1 left out" in output
    assert "left out: " in output and "a.wav" in output


def test_index_tags_too(music: Path, tmp_path: Path):
    options = ("-l", tmp_path / "library", "--fast", "--tags", "--tagger",
               music / "tagger.safetensors")  # fmt: skip
    output = grafprint("index", music / "music", *options)
    assert "3 added" in output and "3 tracks tagged" in output
    again = json.loads(grafprint("index", music / "music", *options, "--json"))
    assert len(again["unchanged"]) == 3
    assert again["tags"] == {"tagged": [], "unchanged": 3, "failed": []}
    plain = json.loads(grafprint("index", music / "music", "-l", tmp_path / "library", "--fast",
                                 "--json"))  # fmt: skip
    assert "tags" not in plain
    with pytest.raises(ConfigError, match="--tagger is for tagging: give --tags, too"):
        grafprint("index", music / "music", *options[:3], *options[4:])
