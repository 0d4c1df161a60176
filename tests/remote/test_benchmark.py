"""Servers are measured against a folder, and what has been measured is kept."""

import contextlib

from benchmarks import cluster, report
from benchmarks.shared import common, servers
from grafprint.library import Library
from tests import audio_files
from tests.audio.test_datasets import air, musan
from tests.benchmarks.commands import run
from tests.paths import ASSETS

SIZE = 12_000


def test_servers_are_measured_against_a_folder(postgres, milvus, tmp_path, monkeypatch):
    musan(tmp_path / "noise", 2)
    air(tmp_path / "rooms")
    both = contextlib.nullcontext(servers.Servers(postgres, milvus))
    monkeypatch.setattr(servers, "running", lambda: both)
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setitem(cluster.SWEEP, "HNSW", [{"ef": 32}, {"ef": 256}])
    asked = (
        "--library", ASSETS / "library", "--test", audio_files.MUSIC[0].parent, "--queries", 2,
        "--noise", tmp_path / "noise", "--rooms", tmp_path / "rooms", "--work", tmp_path,
        "--sizes", SIZE,
    )  # fmt: skip
    run(cluster, monkeypatch, *asked, "--kinds", "HNSW")
    (row,) = common.read("cluster")["rows"]
    run(cluster, monkeypatch, *asked, "--kinds", "exact,HNSW")
    exact, kept = common.read("cluster")["rows"]
    assert kept == row and (exact["kind"], row["kind"]) == ("exact", "HNSW")

    with Library.open(tmp_path / f"cluster-{SIZE}") as folder:
        assert row["fingerprints"] == len(folder) >= SIZE
    assert exact["same_as_folder"] == exact["same_as_exact"] == 2
    assert row["same_as_exact"] >= 1
    low, high = row["sweep"]
    assert 0.9 < low["recall"] <= high["recall"] <= 1 and high["own_row"] > 0.99
    assert exact["round_trips"]["milvus"] == 0 and row["round_trips"]["milvus"] == 1
    for name in ("query_s", "client_cpu_s", "folder_cpu_s", "fill_rows_per_s", "build_s",
                 "postgresql_mb", "milvus_mb"):  # fmt: skip
        assert row[name] > 0
    (copy,) = common.read("cluster")["copies"]
    assert copy["rows_per_s"] > 0 and 256 < copy["bytes"] / row["fingerprints"] < 600
    for table in ("cluster queries", "cluster searches", "cluster loading"):
        page = report.filled(f"<!-- table: {table} -->\n<!-- end -->")
        assert f"{row['fingerprints']:,}" in page and "HNSW" in page
