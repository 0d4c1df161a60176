"""The bundled files: their licences are complete and match the tags, and their size is bounded."""

import csv
from pathlib import Path

import mutagen
import numpy as np
import pytest

from grafprint import audio
from grafprint.explore import library_map
from grafprint.library import Library
from tests.paths import ASSETS

MUSIC = ASSETS / "music"
LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-3.0", "LicenseRef-Public-Domain"}


def attribution(folder: Path) -> dict[str, dict[str, str]]:
    """The rows of a folder's attribution.tsv, by file name."""
    with (folder / "attribution.tsv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len({row["file"] for row in rows}) == len(rows)
    return {row["file"]: row for row in rows}


TRACKS = attribution(MUSIC)


def test_every_audio_file_in_assets_has_a_row_with_a_free_licence():
    files = [p for p in ASSETS.rglob("*") if p.suffix.lower() in audio.AUDIO_SUFFIXES]
    assert {p.name for p in files if p.parent == MUSIC} == set(TRACKS)
    for file in files:
        row = attribution(file.parent)[file.name]
        assert row["licence"] in LICENCES, file
        assert row["title"] and row["artist"] and row["changes"], file


@pytest.mark.parametrize("name", TRACKS)
def test_tags_match_the_table(name: str):
    row = TRACKS[name]
    tags = mutagen.File(MUSIC / name).tags
    assert tags["license"] == [row["licence"]]
    for tag in ("title", "artist", "album", "copyright", "source"):
        assert tags[tag] == [row[tag]], tag
    assert row["changes"] in tags["description"][0]


@pytest.mark.parametrize("name", TRACKS)
def test_music_decodes_in_full(name: str):
    samples = audio.load(MUSIC / name)
    seconds = len(samples) / audio.SAMPLE_RATE
    assert seconds == pytest.approx(float(TRACKS[name]["seconds"]), abs=0.05)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() > 0.05


def test_the_licence_page_lists_every_track_under_its_licence():
    table = (MUSIC / "LICENCES.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()]
    listed = {row[1]: row[5] for row in rows if len(row) == 8}
    assert {name: row["licence"] for name, row in TRACKS.items()} == {
        name: licence for name, licence in listed.items() if name.endswith(".opus")
    }
    assert all(
        row["licence_url"] in table for row in TRACKS.values() if "://" in row["licence_url"]
    )


def test_the_bundled_map_belongs_to_the_bundled_library():
    with Library.open(ASSETS / "library") as library:
        points = library_map.load(library)
        assert points is not None and len(points) > 0.99 * len(library)
    assert (ASSETS / "library" / library_map.MAP).stat().st_size < 300_000


def test_assets_stay_small():
    assert sum(p.stat().st_size for p in ASSETS.rglob("*") if p.is_file()) < 120e6
