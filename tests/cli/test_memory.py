"""What a library remembers: its network's file, and files that are to stay out."""

import json
import shutil
from pathlib import Path

import pytest

from grafprint.cli import console
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.catalogue_file import network_file
from grafprint.models.checkpoint import save_encoder
from grafprint.models.encoders import build
from grafprint.models.features import FeatureConfig
from tests.cli.commands import grafprint

SMALL = {"widths": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "pooled_width": 64, "hidden_width": 96}


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The file of a small network, untrained."""
    file = tmp_path / "run/encoder.safetensors"
    file.parent.mkdir()
    save_encoder(file, build("grafprint", SMALL), FeatureConfig())
    return file


@pytest.fixture
def own(network: Path, folder: Path, tmp_path: Path) -> Path:
    """A library made with that network."""
    grafprint("index", folder, "-l", tmp_path / "own", "--model", network)
    return tmp_path / "own"


def test_a_library_of_an_own_network_opens_without_naming_it(
    own: Path, folder: Path, network: Path
):
    clip = folder / "track 1.wav"
    answer = json.loads(grafprint("identify", clip, "-l", own, "--json"))
    assert answer["matches"][0]["title"] == "track 1"
    assert "3 unchanged" in grafprint("index", folder, "-l", own)
    assert json.loads(grafprint("library", "info", "-l", own, "--json"))["network"] == str(network)
    grafprint("retag", clip, "-l", own)
    table = clip.with_name("truth.csv")
    table.write_text("clip,track,start\ntrack 1.wav,track 1.wav,0\n")
    assert "1 recordings" in grafprint("evaluate", "--recordings", table, "-l", own)


def test_a_missing_network_is_named_with_its_place(
    own: Path, folder: Path, network: Path, capsys: pytest.CaptureFixture[str]
):
    network.rename(network.with_name("moved.safetensors"))
    with pytest.raises(SystemExit) as end:
        console.run(arguments=["identify", str(folder / "track 1.wav"), "-l", str(own)])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert f"{network}, which is no longer there" in message and "--model" in message
    # Indexing with the file where it is now makes the library remember that.
    grafprint("index", folder, "-l", own, "--model", network.with_name("moved.safetensors"))
    assert network_file(own) == network.with_name("moved.safetensors")


def test_the_network_is_found_after_both_have_moved(own: Path, network: Path, tmp_path: Path):
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.move(own, place / "own")
    shutil.move(network.parent, place / "run")
    assert network_file(place / "own") == place / "run/encoder.safetensors"


def test_another_network_in_its_place_is_refused_with_its_path(
    own: Path, folder: Path, network: Path, capsys: pytest.CaptureFixture[str]
):
    save_encoder(network, build("grafprint", {**SMALL, "hidden_width": 64}), FeatureConfig())
    with pytest.raises(SystemExit):
        console.run(arguments=["identify", str(folder / "track 1.wav"), "-l", str(own)])
    message = capsys.readouterr().err
    assert "was made with network" in message and str(network) in message


def test_the_bundled_network_is_not_remembered(
    library: Library, folder: Path, fingerprinter: Fingerprinter
):
    library.add_folder(folder, fingerprinter)
    assert library.catalogue.network is None and network_file(library.path) is None


def test_removed_tracks_stay_out_until_their_file_is_named(
    library: Library, folder: Path, fingerprinter: Fingerprinter
):
    library.add_folder(folder, fingerprinter)
    file = folder / "track 1.wav"
    library.remove(2, keep_out=True)
    report = library.add_folder(folder, fingerprinter)
    assert report.kept_out == [str(file)] and not report.added
    # Its content, too, under another name, and beside its old one.
    copy = Path(shutil.copy(file, folder / "copy.wav"))
    report = library.add_folder(folder, fingerprinter)
    assert report.kept_out == [str(copy), str(file)] and not report.added
    with Library.open(library.path) as reader:
        assert len(reader.catalogue.kept_out) == 2
    assert library.add_folder(file, fingerprinter).added == [str(file)]
    report = library.add_folder(folder, fingerprinter)
    assert report.duplicates == [str(copy)] and not report.kept_out
    assert len(library.tracks()) == 3


def test_keeping_out_on_the_command_line(
    library: Library, folder: Path, fingerprinter: Fingerprinter
):
    library.add_folder(folder, fingerprinter)
    library.release()
    (removed,) = json.loads(
        grafprint("library", "remove", 2, "--keep-out", "-l", library.path, "--json")
    )
    assert removed["title"] == "track 1"
    output = grafprint("index", folder, "-l", library.path)
    assert "2 unchanged" in output and "1 kept out" in output
    assert "kept out: " in grafprint("library", "info", "-l", library.path)
