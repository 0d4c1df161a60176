"""An ablation trains what is missing."""

from pathlib import Path

import pytest

from benchmarks import (
    ablation,
    report,
)
from benchmarks.pages import figures
from benchmarks.shared import common
from tests.benchmarks.commands import PAIRS, run
from tests.training.test_training import TINY


def test_the_ablation_skips_finished_rows(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    base = ablation.BASE | {"batch": 8, "encoder_options": TINY, "precision": "32-true"}
    monkeypatch.setattr(ablation, "BASE", base)
    arguments = (data / "fma/fma_small", "--noise", data / "musan", "--rooms", data / "air",
                 "--pairs", PAIRS, "--cache", small / "cache")  # fmt: skip
    run(ablation, monkeypatch, *arguments, "--only", "base", "--only", "temperature 0.1")
    rows = common.read("ablation")["rows"]
    assert set(rows) == {"base", "temperature 0.1"}
    assert 0 <= rows["base"]["scores"]["life"] <= 1
    capsys.readouterr()
    run(ablation, monkeypatch, *arguments, "--only", "base")
    assert "base:" not in capsys.readouterr().out
    page = report.filled("<!-- table: ablation -->\nold\n<!-- end -->")
    assert "| temperature 0.1 |" in page and "old" not in page
    assert figures.draw() == ["ablation"]
