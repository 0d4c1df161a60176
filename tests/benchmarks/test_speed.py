"""The benchmark of music that is played faster or slower, on three parts."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from benchmarks import report, scan, speed
from benchmarks.shared import common
from grafprint.audio import SAMPLE_RATE
from grafprint.degradation.synthetic_noise import cafe


def test_other_speeds_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(scan, "LENGTHS_S", (9.0, 10.0))

    def run(*arguments: Any) -> None:
        asked = ["speed", "--parts", 3, "--work", tmp_path / "work", *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, asked)))
        speed.main()

    run("--speed", 1.06)
    (row,) = common.read("speed")["rows"]
    plain, other = row["plain"], row["other_speeds"]
    assert row["parts"] == 2 and plain["recall"][0] < other["recall"][0] == 1
    assert other["wrong"] == 0 and other["median_speed_error"] < 0.02
    assert 1.5 * plain["fingerprints"] < other["fingerprints"] < 4 * plain["fingerprints"]
    assert row["identified"]["other_speeds"][0] == 1

    run("--keep-pitch")
    assert [row["identified"] for row in common.read("speed")["tempos"]] == [2, 2]

    unknown = tmp_path / "unknown"
    unknown.mkdir()
    people = cafe(8 * SAMPLE_RATE, np.random.default_rng(0)).astype(np.float32)
    wavfile.write(unknown / "people.wav", SAMPLE_RATE, people)
    run("--unknown", unknown, "--most", 1)
    found = common.read("speed")
    assert found["unknown"]["plain"] == found["unknown"]["other_speeds"] == 0
    assert found["unknown"]["recordings"] == 1 and len(found["rows"]) == 1
    for table in ("other speeds", "unknown music", "kept pitch"):
        assert "Not measured" not in report.filled(f"<!-- table: {table} -->\n<!-- end -->")
    assert not (tmp_path / "work" / "demo").exists()
