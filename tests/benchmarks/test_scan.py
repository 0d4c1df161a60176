"""Mixes are made and scanned."""

import shutil
from pathlib import Path

import pytest

from benchmarks import (
    scan,
)
from benchmarks.shared import common
from tests.benchmarks.commands import LAST, run


def test_mixes_are_scanned(data: Path, small: Path, monkeypatch: pytest.MonkeyPatch):
    """With the bundled network: an untrained one would find no plays."""
    monkeypatch.setattr(scan, "PARTS", 3)
    monkeypatch.setattr(scan, "LENGTHS_S", (8.0, 9.0))
    test = small / "test"
    test.mkdir()
    for number in range(LAST, LAST + 6):
        shutil.copy(data / "fma" / "fma_medium" / "000" / f"{number:06d}.mp3", test)
    clips = ("--noise", data / "musan", "--rooms", data / "air")
    asked = ("--test", test, *clips, "--mixes", 1, "--work", small / "work")
    run(scan, monkeypatch, *asked)
    rows = common.read("scan")["rows"]
    assert set(rows) == set(scan.KINDS)
    cuts = rows["hard cuts"]
    assert cuts["parts"] == 2 and cuts["recall"][0] == cuts["precision"][0] == 1
    assert cuts["median_start_error_s"] < 1
    assert not (small / "work" / "without-strangers").exists()
