"""Indexes and sizes of libraries are compared."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    fast_library,
    index_choice,
    report,
    scale,
)
from benchmarks.shared import common
from benchmarks.shared.gpu_exact_search import DeviceLibrary
from grafprint.library import Library
from tests import audio_files
from tests.benchmarks.commands import LAST, run
from tests.paths import ASSETS


def test_search_on_a_device_finds_the_same_neighbours(tmp_path: Path):
    """Also if there are fewer than requested."""
    with Library.open(ASSETS / "library") as library:
        device = DeviceLibrary.on("cpu", library.path)
        queries = library.vectors(np.arange(0, 3000, 10))
        for k in (None, len(library) + 5):
            products, rows = library.search(queries[: 3000 if k is None else 2], k)
            others, found = device.search(queries[: 3000 if k is None else 2], k)
            assert np.allclose(products, others, atol=1e-5)
            assert (rows == found).mean() > 0.99  # rounding can swap equal neighbours
        device.release()


def test_indexes_are_compared_and_libraries_grow(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    """On the bundled library: with an untrained network nothing would be found."""
    library = ASSETS / "library"
    asked = (
        "--library", library, "--test", audio_files.MUSIC[0].parent, "--queries", 4,
        "--noise", data / "musan", "--rooms", data / "air", "--work", small / "work",
    )  # fmt: skip
    monkeypatch.setattr(index_choice, "FACTORIES", ("Flat", "IVF16,PQ8"))
    monkeypatch.setattr(index_choice, "CHOSEN", "IVF16,SQ8")
    run(index_choice, monkeypatch, *asked)
    exact, coded = common.read("index_choice")["rows"]
    assert exact["recall_of_exact"] == 1 and exact["hit_50ms"][0] > 0.5
    assert exact["bytes"] == pytest.approx(4 * 128 + 8, rel=0.01)
    assert 16 < coded["bytes"] < 25 and min(exact["query_s"], coded["query_s"]) > 0
    assert exact["nprobe"] is None and coded["nprobe"] in index_choice.PROBES
    searched, whole, *fewer = common.read("index_choice")["thinned"]
    assert list(whole["hit_50ms"]) == ["1", "2", "5"] and whole["hit_50ms"]["5"][0] > 0.5
    assert searched["hit_50ms"]["5"][0] > 0.5
    assert fewer[-1]["bytes_per_hour"] < 0.5 * whole["bytes_per_hour"]
    errors = [way["error"] for way in common.read("index_choice")["rotations"]]
    assert len(errors) == 3 and 0 < errors[2] < errors[0]
    for table in ("indexes", "thinned", "rotations"):
        assert "Not measured" not in report.filled(f"<!-- table: {table} -->\n<!-- end -->")

    with Library.open(library) as opened:
        size = len(opened) + 1000
    run(scale, monkeypatch, *asked, "--sizes", f"{size // 2},{size}")
    smaller, row = common.read("scale")["rows"]
    assert size // 2 <= smaller["fingerprints"] < size * 0.8 and smaller["recall_of_exact"] == 1
    assert row["fingerprints"] == size and row["recall_of_exact"] == 1
    assert row["same_by_all_candidates"] == 4 and row["indexing_mb"] >= 0
    assert f"{size:,}" in report.filled("<!-- table: library sizes -->\n<!-- end -->")
    with Library.open(small / "work" / f"scale-{size}") as grown:
        assert len({track.content_hash for track in grown.tracks()}) == len(grown.tracks()) > 32
        norms = np.linalg.norm(grown.vectors(np.arange(size - 100, size)), axis=1)
        assert norms == pytest.approx(1, abs=1e-2)


def test_libraries_of_the_fast_network_are_compared(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    music = small / "music"
    music.mkdir()
    for number in range(LAST, LAST + 6):
        file = f"{number:06d}.mp3"
        shutil.copy(data / "fma" / "fma_medium" / "000" / file, music / file)
    asked = (
        "--test", music, "--noise", data / "musan", "--rooms", data / "air",
        "--queries", 3, "--work", small / "work",
    )  # fmt: skip
    run(fast_library, monkeypatch, *asked)
    found = common.read("fast_library")
    assert 0.7 < found["likeness_percentiles"]["5"] < found["likeness"] < 0.999
    assert [row["queries"] for row in found["rows"]] == 12 * [3]
    own, fast = found["all"]["hit_50ms"]
    assert own > 0.5 and fast > 0.5
    assert "by the fast network" in report.filled("<!-- table: fast library -->\n<!-- end -->")
