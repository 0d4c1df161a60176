"""Building a library and start-up are measured."""

from pathlib import Path

import pytest

from benchmarks import building, report, startup
from benchmarks.shared import common
from tests.benchmarks.commands import run


def test_building_is_measured(data: Path, small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "FACTORY", "IVF4,SQ8")
    run(building, monkeypatch, "--music", data / "fma" / "fma_medium", "--minutes", 0.02)
    written = common.read("building")
    for found in (written["bundled"], written["fast"]):
        assert found["tracks"] >= 1 and found["fingerprints"] > 100
        assert found["times_real_time"] > 0 and found["fingerprints_indexed_per_s"] > 0
        assert found["share_decoding"] > 0 and found["share_encoding"] > 0
        assert found["indexing_mb"] >= 0
    assert len(found["memory_mb"]) == 4 and min(found["memory_mb"]) > 50
    assert found["bytes_per_hour_of_audio"] > 256 * 3600 / 0.096
    assert "Not measured" not in report.filled("<!-- table: building -->\n<!-- end -->")


def test_start_up_is_measured(small: Path, monkeypatch: pytest.MonkeyPatch):
    names = ("Python itself", "`grafprint library list`")  # the others take seconds each
    monkeypatch.setattr(startup, "COMMANDS", {name: startup.COMMANDS[name] for name in names})
    run(startup, monkeypatch, "--runs", 1)
    rows = common.read("startup")["rows"]
    assert set(rows) == {*startup.COMMANDS, "the app, idle"}
    assert all(row["seconds"] > 0 and row["mb"] > 5 for row in rows.values())
    assert "Not measured" not in report.filled("<!-- table: startup -->\n<!-- end -->")
    with pytest.raises(SystemExit, match="failed"):
        startup.once(("-c", "raise ValueError"))
