"""The benchmark commands, on small look-alikes of FMA, MUSAN and AIR."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import (
    ablation,
    app_load,
    building,
    encoding,
    fast_library,
    gpu,
    granularity,
    index_choice,
    parts,
    precisions,
    report,
    scale,
    scan,
    startup,
    table2,
    table3,
    train_systems,
)
from benchmarks.pages import figures
from benchmarks.shared import common, systems
from benchmarks.shared.gpu_exact_search import DeviceLibrary
from benchmarks.shared.workers import Model
from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.models.checkpoint import save_encoder
from grafprint.models.encoders import build, features_of
from tests import audio_files
from tests.audio.test_datasets import air, musan
from tests.models.test_baselines import SMALL
from tests.paths import ASSETS
from tests.training.test_training import TINY

PAIRS = 16
LAST = 12  # first look-alike track that is not in the training split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FMA with 12 tracks for training, 2 for validation and 4 for tests; MUSAN; AIR."""
    root = tmp_path_factory.mktemp("data")
    rows = [",album,set,set", ",title,split,subset", "track_id,,,"]
    for number, path in enumerate(audio_files.MUSIC[:18]):
        split = "training" if number < LAST else "validation" if number < LAST + 2 else "test"
        music = audio.load(path, start_s=3, duration_s=16.0)
        subsets = ["fma_medium"] if split == "test" else ["fma_small", "fma_medium"]
        for subset in subsets:
            place = root / "fma" / subset / "000" / f"{number:06d}.mp3"
            place.parent.mkdir(parents=True, exist_ok=True)
            audio_files.write(place, music, 16_000, "libmp3lame")
        rows.append(f"{number},x,{split},{subsets[0].removeprefix('fma_')}")
    (root / "fma" / "fma_metadata").mkdir()
    (root / "fma" / "fma_metadata" / "tracks.csv").write_text("\n".join(rows) + "\n")
    musan(root / "musan", 30)
    air(root / "air")
    return root


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Small networks, and a temporary folder for results."""
    options = {"grafprint": TINY} | {name: o | {"dim": 128} for name, o in SMALL.items()}
    options["nafp"]["widths"] = (16, 16, 32, 32, 32, 64, 64, 128)
    options["hash-transformer"]["buckets"] = systems.BUCKETS
    for name, run in systems.RUNS.items():
        monkeypatch.setitem(systems.RUNS, name, run | {"encoder_options": options[name]})
    monkeypatch.setitem(systems.COMMON, "batch", 8)
    monkeypatch.setitem(systems.COMMON, "precision", "32-true")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "FIGURES", tmp_path)
    return tmp_path


def run(command: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, arguments)])
    command.main()


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


def test_several_processes_give_the_results_of_one(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    """The same rows in the same order and the same outcomes, also with a copy and bad files."""
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
    asked = (
        "--test", test, "--distractors", more, "--noise", data / "musan", "--rooms", data / "air",
        "--queries", 2, "--sizes", "550,800", "--models", small / "runs", "--pairs", PAIRS,
    )  # fmt: skip
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
    asked = (
        "--test", data / "fma" / "fma_medium", "--noise", data / "musan", "--rooms", data / "air",
        "--queries", 3, "--work", small / "work",
    )  # fmt: skip
    run(fast_library, monkeypatch, *asked)
    found = common.read("fast_library")
    assert 0.7 < found["likeness_percentiles"]["5"] < found["likeness"] < 0.999
    assert [row["queries"] for row in found["rows"]] == 12 * [3]
    own, fast = found["all"]["hit_50ms"]
    assert own > 0.5 and fast > 0.5
    assert "by the fast network" in report.filled("<!-- table: fast library -->\n<!-- end -->")


def test_building_and_start_up_are_measured(
    data: Path, small: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(building, "FACTORY", "IVF4,SQ8")
    run(building, monkeypatch, "--music", data / "fma" / "fma_medium", "--minutes", 0.08)
    written = common.read("building")
    for found in (written["bundled"], written["fast"]):
        assert found["tracks"] >= 1 and found["fingerprints"] > 100
        assert found["times_real_time"] > 0 and found["fingerprints_indexed_per_s"] > 0
        assert found["share_decoding"] > 0 and found["share_encoding"] > 0
        assert found["indexing_mb"] >= 0
    assert len(found["memory_mb"]) == 4 and min(found["memory_mb"]) > 50
    assert found["bytes_per_hour_of_audio"] > 256 * 3600 / 0.096

    slow = ("`import torch`", "loading the network")  # parts of what `identify` takes
    for name in slow:
        monkeypatch.delitem(startup.COMMANDS, name)
    run(startup, monkeypatch, "--runs", 1)
    rows = common.read("startup")["rows"]
    assert set(rows) == {*startup.COMMANDS, "the app, idle"}
    assert all(row["seconds"] > 0 and row["mb"] > 5 for row in rows.values())
    for table in ("building", "startup"):
        assert "Not measured" not in report.filled(f"<!-- table: {table} -->\n<!-- end -->")
    with pytest.raises(SystemExit, match="failed"):
        startup.once(("-c", "raise ValueError"))


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
        "--training-batch", 16, "--steps", 8, "--size", 256, "--fingerprints", 3000)  # fmt: skip
    found = common.read("gpu")
    assert found["encoding"]["as it is"]["least_cosine_to_cpu"] > 0.97
    assert found["encoding"]["as it is"]["segments_per_s"] > 0
    assert "Not measured" not in report.filled("<!-- table: gpu -->\n<!-- end -->")
    assert found["training"]["pairs_per_s"] > 0 and found["training"]["share_of_peak"] > 0
    assert found["index"]["processor_s"] > 0


def test_concurrent_visitors_get_their_own_answers(small: Path, monkeypatch: pytest.MonkeyPatch):
    run(app_load, monkeypatch, "--clients", 6, "--minutes", 0.05)
    found = common.read("app_load")
    assert found["failed"] == found["not_their_own"] == 0
    assert min(found["answers"].values()) >= 6 and found["memory_mb_by_minute"][0] > 100
    assert "0 were not the client's own" in report.filled("<!-- table: load -->\n<!-- end -->")


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


def test_the_tables_on_the_pages_are_those_of_the_committed_results():
    texts = [page.read_text(encoding="utf-8") for page in report.PAGES]
    assert [report.filled(text) for text in texts] == texts
    names = {name for name in report.TABLES if f"<!-- table: {name} -->" in "".join(texts)}
    assert names | {"released hit_1hop"} == set(report.TABLES)


def test_results_are_of_the_bundled_network():
    for path in sorted(common.RESULTS.glob("*-released*.json")):
        with Library.open(ASSETS / "library") as library:
            written = json.loads(path.read_text())
            reports = written.get("sizes", [written])  # a growing library has one for each
            assert {report["model_id"] for report in reports} == {library.model_id}
