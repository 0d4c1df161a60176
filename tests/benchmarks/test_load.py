"""The app is asked by many visitors at once."""

from pathlib import Path

import pytest

from benchmarks import (
    app_load,
    report,
)
from benchmarks.shared import common
from tests.benchmarks.commands import run


def test_concurrent_visitors_get_their_own_answers(small: Path, monkeypatch: pytest.MonkeyPatch):
    run(app_load, monkeypatch, "--clients", 6, "--minutes", 0.05)
    found = common.read("app_load")
    assert found["failed"] == found["not_their_own"] == 0
    assert min(found["answers"].values()) >= 6 and found["memory_mb_by_minute"][0] > 100
    assert "0 were not the client's own" in report.filled("<!-- table: load -->\n<!-- end -->")
