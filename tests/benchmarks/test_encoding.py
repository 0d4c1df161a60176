"""The speed of the encoder is measured, on a processor and on a GPU."""

from pathlib import Path

import pytest
import torch

from benchmarks import (
    encoding,
    gpu,
    parts,
    report,
)
from benchmarks.shared import common
from tests.benchmarks.commands import run


def test_encoding_is_measured(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoding, "SEGMENTS", 24)
    monkeypatch.setattr(encoding, "LENGTH", 12)
    monkeypatch.setattr(encoding, "QUERY", 8)
    run(encoding, monkeypatch, "--rounds", 1)
    found = common.read("encoding")
    assert len(found["rows"]) == 4 * len(encoding.precisions())
    assert all(row["segments_per_s"] > 0 for row in found["rows"])
    assert "Not measured" not in report.filled("<!-- table: encoding -->\n<!-- end -->")


def test_the_parts_of_the_encoder_are_timed(small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "SEGMENTS", 4)
    run(parts, monkeypatch, "--rounds", 1)
    rows = common.read("parts")["rows"]
    told = {(row["runtime"], row["precision"]): row["ms"] for row in rows}
    for (runtime, _), ms in told.items():
        # Folded normalisations take no time; everything else appears in both.
        folded_away = {parts.NORMALISATIONS} if runtime == "GraFPrint" else set()
        assert {part for part, spent in ms.items() if not spent} == folded_away
    assert "| neighbours found |" in report.filled("<!-- table: parts -->\n<!-- end -->")


def test_the_gpu_benchmark_runs_without_a_gpu(small: Path, monkeypatch: pytest.MonkeyPatch):
    """The same code on the CPU, without the compiler."""
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="no GPU"):
            run(gpu, monkeypatch)
    run(gpu, monkeypatch, "--device", "cpu", "--no-compile", "--rounds", 1, "--batch", 8,
        "--training-batch", 8, "--steps", 4, "--size", 256, "--fingerprints", 3000)  # fmt: skip
    found = common.read("gpu")
    assert found["encoding"]["as it is"]["least_cosine_to_cpu"] > 0.97
    assert found["encoding"]["as it is"]["segments_per_s"] > 0
    assert "Not measured" not in report.filled("<!-- table: gpu -->\n<!-- end -->")
    assert found["training"]["pairs_per_s"] > 0 and found["training"]["share_of_peak"] > 0
    assert found["index"]["processor_s"] > 0
