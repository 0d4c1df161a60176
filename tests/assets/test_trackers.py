"""Tracker modules through libopenmpt: their channels, their rows, and files that are none."""

import csv
from ctypes.util import find_library
from pathlib import Path

import numpy as np
import pytest

from assets.stems.trackers import Trackers
from grafprint.errors import DataError
from tests.assets.modules import ROW_S, ROWS, module
from tests.assets.test_stems import run

LIBRARY = find_library("openmpt")
pytestmark = pytest.mark.skipif(
    LIBRARY is None, reason="plays modules: needs libopenmpt (Debian: libopenmpt0)"
)


@pytest.fixture
def trackers() -> Trackers:
    assert LIBRARY is not None
    return Trackers(Path(LIBRARY))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "packages" / "njam-data" / "four.mod"
    path.parent.mkdir(parents=True)
    path.write_bytes(module())
    return path


def test_the_channels_add_up_to_the_mix(trackers: Trackers, song: Path) -> None:
    mix, _ = trackers.mix(song)
    # At the end libopenmpt fades out for a tenth of a second.
    assert len(mix) / 16_000 == pytest.approx(ROWS * ROW_S + 0.1, abs=0.05)
    assert trackers.channels(song) == 4
    stems = [trackers.channel(song, number) for number in range(4)]
    assert all(np.abs(stem).max() > 0.01 for stem in stems)
    rest = np.sum(stems, axis=0) - mix
    assert 10 * np.log10(np.mean(rest**2) / np.mean(mix**2)) < -90
    spectra = [np.abs(np.fft.rfft(stem)).argmax() for stem in stems]
    assert sorted(set(spectra)) == spectra  # four notes, rising


def test_rows_are_known_to_a_fiftieth_of_a_second(trackers: Trackers, song: Path) -> None:
    _, rows = trackers.mix(song)
    assert [row.row for row in rows[:ROWS]] == list(range(ROWS))
    assert {row.order for row in rows} == {0}
    for number, row in enumerate(rows[:ROWS]):
        assert row.start_s == pytest.approx(number * ROW_S, abs=0.021)


def test_what_is_no_module_is_named(trackers: Trackers, tmp_path: Path) -> None:
    path = tmp_path / "broken.mod"
    path.write_bytes(b"not a module" * 200)
    with pytest.raises(DataError, match=r"broken\.mod: libopenmpt cannot read this module"):
        trackers.mix(path)


def test_the_tool_writes_modules_and_passes_over_what_is_none(song: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (song.parent / "broken.mod").write_bytes(b"not a module" * 200)
    (song.parent / "three.mod").write_bytes(module(3))
    for package in ("heroes-sound-tracks", "other"):
        (packages / package).mkdir()
    (packages / "heroes-sound-tracks" / "late.mod").write_bytes(module(rows=(8, 24)))
    (packages / "other" / "again.mod").write_bytes(module())  # the same file as four.mod
    (packages / "other" / "early.mod").write_bytes(module(rows=(0, 4, 8)))
    out = tmp_path / "out"
    code, output = run(out, "--modules", packages, "--libopenmpt", LIBRARY)
    assert code == 0, output
    assert "left out" in output
    assert "broken.mod: libopenmpt cannot read this module" in output
    with (out / "stems.csv").open() as file:
        rows = list(csv.DictReader(file))
    stems = {song: [r["stem"] for r in rows if r["song"] == song] for song in ("four.mod",)}
    assert stems["four.mod"] == ["mix", *(f"channel {n:02d}" for n in range(1, 5))]
    assert sum(r["song"] == "three.mod" for r in rows) == 4  # the silent channel is dropped
    assert {(r["song"], r["split"]) for r in rows} == {
        ("four.mod", "valid"),
        ("three.mod", "valid"),
        ("late.mod", "test"),
        ("early.mod", "train"),
    }
    assert (out / "njam-data" / "four.mod" / "song.json").is_file()
