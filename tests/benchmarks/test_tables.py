"""The tables of the paper, on look-alikes of FMA, MUSAN and AIR."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import (
    granularity,
    precisions,
    report,
    table2,
    table3,
    train_systems,
)
from benchmarks.pages import figures
from benchmarks.shared import common, systems
from benchmarks.shared.workers import Model
from grafprint.evaluation import Outcome, QuerySet
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models.checkpoint import save_encoder
from grafprint.models.encoders import build, features_of
from tests import audio_files
from tests.benchmarks.commands import PAIRS, run
from tests.training.test_training import TINY


def test_every_table_is_one_command(data: Path, small: Path, monkeypatch: pytest.MonkeyPatch):
    clips = ("--noise", data / "musan", "--rooms", data / "air")
    models = ("--models", small / "runs", "--pairs", PAIRS, "--work", small / "work")
    fma = data / "fma"
    train = (fma / "fma_small", *clips, "--pairs", PAIRS, "--work", small / "runs")
    run(train_systems, monkeypatch, *train)
    networks = sorted(p.parent.name for p in (small / "runs").glob("*/encoder.safetensors"))
    assert networks == sorted(f"{name}-{PAIRS}" for name in systems.RUNS)
    before = (small / "runs" / f"nafp-{PAIRS}" / "encoder.safetensors").stat().st_mtime_ns
    run(train_systems, monkeypatch, *train)  # all are complete: nothing is trained again
    after = (small / "runs" / f"nafp-{PAIRS}" / "encoder.safetensors").stat().st_mtime_ns
    assert after == before

    every = [part for name in systems.SYSTEMS for part in ("--system", name)]
    asked = ("--test", fma / "fma_medium", *clips, "--queries", 2, *models)
    run(table2, monkeypatch, *asked, *every)
    run(table2, monkeypatch, *asked, "--protocol", "published")
    for name in (*systems.SYSTEMS, "grafprint-published"):
        written = common.read(f"table2-{name}")
        assert len(written["cells"]) == 40 and written["references"] == 18
        assert written["query_tracks"] == 4  # FMA's test tracks
        protocol = "published" if name == "grafprint-published" else "clean"
        assert written["protocol"] == written["config"]["protocol"] == protocol
    # Two systems share one network, and the queries that it encoded.
    assert len(list((small / "work" / "queries").iterdir())) == 2
    # TE's libraries use their own buckets.
    for name in ("te-lsh", "te-ht"):
        path = next((small / "work").glob(f"{name}-*"))
        assert np.load(path / "buckets.npy").shape == (systems.BUCKETS, 128)

    run(table3, monkeypatch, *asked, "--distractors", fma / "fma_small", "--sizes", "2900,3000")
    grown = common.read("table3-grafprint")["sizes"]
    assert [r["fingerprints"] >= size for r, size in zip(grown, (2900, 3000), strict=True)]
    with Library.open(next((small / "work" / "grown" / "3000").iterdir())) as library:
        assert any("@17-16" in track.path for track in library.tracks())

    run(precisions, monkeypatch, *asked)
    both = common.read("precisions")
    assert [row["queries"] for row in both["rows"]] == 12 * [2] and both["all"]["queries"] == 24
    low, high = both["all"]["interval"]
    assert low <= both["all"]["difference"] <= high
    first, second = both["all"]["hit_50ms"]
    won = both["all"]["won"] - both["all"]["lost"]
    assert both["all"]["difference"] == pytest.approx(second - first) == pytest.approx(won / 24)
    assert "of 24 queries" in report.filled("<!-- table: precisions -->\n<!-- end -->")

    run(granularity, monkeypatch, *asked)
    rows = common.read("granularity")["rows"]
    assert set(figures.draw()) == {"systems", "scale", "granularity"}
    for name in ("systems", "scale", "granularity"):
        assert (small / f"results-{name}.png").stat().st_size > 10_000
    assert len(rows) == 4 * 6 and rows[0]["fingerprints"] > 4 * rows[-1]["fingerprints"]


def small_table(data: Path, small: Path) -> tuple[object, ...]:
    """Arguments for a small table3, also with a copy and bad files."""
    test, more = small / "test", small / "more"
    for folder, numbers in ((test, (14, 15, 16)), (more, (17,))):
        folder.mkdir()
        for number in numbers:
            shutil.copy(data / "fma" / "fma_medium" / "000" / f"{number:06d}.mp3", folder)
    shutil.copy(test / "000014.mp3", test / "copy.mp3")
    (test / "bad.mp3").write_bytes(b"no music")
    audio_files.write(test / "silent.wav", np.zeros(32_000, np.float32), 16_000, "pcm_s16le")
    network = small / "runs" / f"grafprint-{PAIRS}" / "encoder.safetensors"
    network.parent.mkdir(parents=True)
    save_encoder(network, build("grafprint", TINY), features_of("grafprint"))
    return (
        "--test", test, "--distractors", more, "--noise", data / "musan", "--rooms", data / "air",
        "--queries", 2, "--sizes", "550,800", "--models", small / "runs", "--pairs", PAIRS,
    )  # fmt: skip


def test_several_processes_give_the_results_of_one(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same rows in the same order and the same outcomes."""
    asked = small_table(data, small)
    found = []
    threads = torch.get_num_threads()
    for processes in (1, 2):
        # Each process has one thread, and sums depend on how segments are split.
        torch.set_num_threads(1 if processes == 1 else threads)
        work = small / f"work-{processes}"
        shared = ("--work", work, "--out", work / "out", "--processes", processes)
        run(table3, monkeypatch, *asked, *shared)
        written = json.loads((work / "out" / "table3-grafprint.json").read_text())
        journals = [p.read_text() for p in sorted((work / "journals").iterdir())]
        with Library.open(next((work / "grown" / "800").iterdir())) as library:
            tracks = [replace(t, path=Path(t.path).name) for t in library.tracks()]
            rows = library.vectors(np.arange(library.rows)).tobytes()
            found.append((written, journals, tracks, library.catalogue.checksums, rows))
    assert found[0] == found[1]
    titles = [track.title for track in found[0][2]]
    assert titles[:4] == ["000014", "000015", "000016", "000017"]
    assert titles[4:] == ["000017@17-16", "000017@16-17"]


def test_several_machines_share_the_queries(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    """A part asks its own only; the last run asks what a part that was killed has left."""
    asked = (*small_table(data, small), "--queries", 5)
    whole, shared = small / "whole", small / "shared"
    run(table3, monkeypatch, *asked, "--work", whole, "--out", whole / "out")

    asked = (*asked, "--work", shared, "--out", shared / "out")
    with pytest.raises(SystemExit, match="make the libraries with --libraries first"):
        run(table3, monkeypatch, *asked, "--part", "1/3")
    run(table3, monkeypatch, *asked, "--libraries")
    assert not (shared / "journals").exists()
    for part in ("1/3", "3/3", "8/8"):  # the last has no query
        run(table3, monkeypatch, *asked, "--part", part)
    journals = {p.name: len(p.read_text().splitlines()) for p in (shared / "journals").iterdir()}
    assert len(journals) == 6 and not (shared / "out").exists()
    assert journals["table3-grafprint-550.part-1-of-3.jsonl"] == 1 + 2
    assert journals["table3-grafprint-550.part-3-of-3.jsonl"] == 1 + 1
    assert journals["table3-grafprint-550.part-8-of-8.jsonl"] == 1
    lost = shared / "journals" / "table3-grafprint-550.part-1-of-3.jsonl"
    lost.write_text(lost.read_text()[:-30])  # it was killed while it wrote

    asks = []
    ask = QuerySet.ask

    def counted(self: QuerySet, number: int) -> list[Outcome]:
        asks.append(number)
        return ask(self, number)

    monkeypatch.setattr(QuerySet, "ask", counted)
    run(table3, monkeypatch, *asked)
    assert asks == [1, 3, 4, 1, 4]
    for name in ("journals/table3-grafprint-550.jsonl", "journals/table3-grafprint-800.jsonl",
                 "out/table3-grafprint.json"):  # fmt: skip
        assert (whole / name).read_text() == (shared / name).read_text()


def test_a_library_with_a_coarser_hop_is_a_subset_of_the_finer_one(data: Path, tmp_path: Path):
    encoder, features = build("grafprint", TINY), features_of("grafprint")
    fine, coarse = (Fingerprinter(encoder, replace(features, hop_frames=n)) for n in (3, 9))
    with (
        Library.create(tmp_path / "whole", fine) as whole,
        Library.create(tmp_path / "direct", coarse) as direct,
    ):
        for number in (14, 15):
            file = data / "fma" / "fma_medium" / "000" / f"{number:06d}.mp3"
            whole.add(file, fine)
            direct.add(file, coarse)
        with granularity.thinned(whole, coarse, 3, tmp_path) as part:
            assert [t.count for t in part.tracks()] == [t.count for t in direct.tracks()]
            assert len(whole) > 2.9 * len(part)
            rows = np.arange(len(part))
            assert np.allclose(part.vectors(rows), direct.vectors(rows), atol=2e-3)
        with granularity.thinned(
            whole, coarse, 3, tmp_path
        ) as again:  # resumes: everything is there
            assert len(again) == len(rows) and len(again.tracks()) == 2


def test_cached_queries_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "network.safetensors"
    save_encoder(path, build("grafprint", TINY), features_of("grafprint"))
    rng = np.random.default_rng(0)
    clips = [rng.standard_normal(n, np.float32) for n in (16_000, 40_000)]
    fresh = Model(path).load().many(clips)
    first = Model(path, memory=tmp_path / "queries").load().many(clips)
    again = Model(path, memory=tmp_path / "queries").load()
    with monkeypatch.context() as patch:
        patch.setattr(again, "encode_windows", None)  # nothing is
        kept = again.many(clips)
    for found in (first, kept):
        assert all(np.array_equal(a, b) for a, b in zip(fresh, found, strict=True))
    assert len(again.many(clips[:1])) == 1 and len(list((tmp_path / "queries").iterdir())) == 2
