"""The bench of sample identification, and Sample100: one command each, resumed, with every row."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import report, samples
from benchmarks.pages import figures, sample_tables
from benchmarks.shared import common
from benchmarks.shared.sample_bench import measuring
from grafprint.fingerprint import Fingerprinter
from grafprint.models.encoders import Samples, features_of
from grafprint.models.rerankers import CrossAttention, CrossAttentionConfig, save_reranker
from tests.benchmarks.commands import run
from tests.benchmarks.sample_folders import write_folders
from tests.libraries import excerpt, write_wav
from tests.models.test_samples_encoder import TINY


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(tmp_path_factory.mktemp("bench"))


def command(place: Path, out: Path, *more: str) -> list[str]:
    """The command for one query of each kind."""
    options = ["--held-out", "held", "kept", "--references", "2", "--of-stems", "1",
               "--of-recordings", "1", "--empty", "1", "--work", str(place / "command"),
               "--out", str(out)]  # fmt: skip
    for name, folder in (("stems", "stems"), ("music", "music"), ("distractors", "more"),
                         ("drums", "drums"), ("speech", "speech")):  # fmt: skip
        options += [f"--{name}", str(place / folder)]
    return [*options, *more]


def test_the_command_measures_the_released_network_and_resumes(
    place: Path, tmp_path: Path, monkeypatch, capsys
):
    searched = "fingerprints, sample search"
    arguments = command(place, tmp_path, "--row", "fingerprints", "--row", searched)
    run(samples, monkeypatch, *arguments)
    results = json.loads((tmp_path / "samples.json").read_text())
    found = results["rows"]["fingerprints"]
    assert results["bench"]["library"] == 6 and found["whole"]["queries"] == 2
    assert found["whole"]["empty"] == 1
    assert list(found["lengths"]) == ["5 s", "7 s", "10 s", "15 s", "20 s"]
    # Ten seconds and more of a loop, and six songs to choose from.
    assert found["whole"]["mean_average_precision"][0] >= 0.5
    assert set(found["groups"]) >= {"sampled", "change", "tempo", "filter", "chopped", "level"}
    assert "| fingerprints |" in capsys.readouterr().out
    assert results["rows"][searched]["whole"]["queries"] == 2
    journal = place / "command" / "answers" / f"fingerprints-{found['network']}.jsonl"
    text = journal.read_text()
    journal.write_text("".join(text.splitlines(keepends=True)[:3]))
    run(samples, monkeypatch, *arguments)
    assert json.loads((tmp_path / "samples.json").read_text()) == results
    assert journal.read_text() == text


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Small ones, with random weights, as options: an encoder for samples and a classifier."""
    root = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    encoder = Fingerprinter(Samples(TINY), features_of("samples"))
    encoder.save(root / "encoder.safetensors")
    classifier = CrossAttention(CrossAttentionConfig(nodes_width=24, width=16, hidden_width=8))
    save_reranker(root / "classifier.safetensors", classifier, encoder.model_id)
    return ["--encoder", str(root / "encoder.safetensors"),
            "--reranker", str(root / "classifier.safetensors")]  # fmt: skip


def test_networks_for_samples_are_measured_and_compared(
    place: Path, tmp_path: Path, networks: list[str], monkeypatch
):
    monkeypatch.setattr(measuring, "LENGTHS_S", (5.0, 20.0))
    rows = ["encoder", "with the classifier", "without graph blocks"]
    arguments = command(place, tmp_path, *networks)
    run(samples, monkeypatch, *arguments, *(f"--row={row}" for row in rows))
    results = json.loads((tmp_path / "samples.json").read_text())
    assert list(results["rows"]) == rows
    assert list(results["differences"]) == [
        "with the classifier - encoder",
        "encoder - without graph blocks",
    ]
    found = results["rows"]
    assert found["encoder"]["network"] != found["without graph blocks"]["network"]
    for row in rows:
        assert found[row]["whole"]["mean_average_precision"][0] > 0
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    text = report.filled(
        "".join(f"<!-- table: {name} -->\n<!-- end -->" for name in sample_tables.TABLES)
    )
    assert "Not measured yet" not in text and "2 queries with a sample, 1 without" in text
    assert "| *Riou et al., 2025* | *60.3* | *58.7* | *73.3* |" in text
    for heading in ("| sampled | stems | 1 |", "| encoder | mAP |", "encoder - without"):
        assert heading in text
    assert figures.samples().axes[0].get_legend_handles_labels()[1] == rows
    # A row that was measured before stays, if the bench is the same.
    run(samples, monkeypatch, *arguments, "--row", "encoder")
    assert json.loads((tmp_path / "samples.json").read_text()) == results
    with pytest.raises(SystemExit, match="needs --encoder"):
        run(samples, monkeypatch, *command(place, tmp_path, "--row", "encoder"))


def test_settings_are_chosen_on_songs_that_are_not_for_tests(
    place: Path, tmp_path: Path, networks: list[str], monkeypatch
):
    chosen = ["--split", "valid", "--whole", "--row", "encoder", "--work", str(tmp_path / "valid")]
    run(samples, monkeypatch, *command(place, tmp_path, *networks, *chosen))
    results = json.loads((tmp_path / "samples-valid.json").read_text())
    assert results["bench"]["songs_with_stems"] == 1
    found = results["rows"]["encoder"]
    assert not found["lengths"] and found["whole"]["queries"] == 2 and found["least_score"] > 0
    assert found["empty_scores"] and found["empty_scores"][0] >= found["empty_scores"][-1] >= 0
    assert not (tmp_path / "samples.json").exists()


def test_sample100_is_measured_with_one_command(
    place: Path, tmp_path: Path, networks: list[str], monkeypatch, capsys
):
    folder = tmp_path / "sample100"
    folder.mkdir()
    (folder / "samples.csv").write_text(
        "sample_id,target_track_id,query_track_id,t_target,t_query,estimated_tempo_ratio,"
        "sample_type,interpolation\nS001,T002,T001,0,8,1.0,riff,no\nS002,T003,T001,0,1,,beat,no\n"
    )
    sampled = excerpt(0, 20, 12.0)
    write_wav(folder / "T002.wav", sampled)
    write_wav(folder / "T001.wav", np.concatenate([excerpt(1, 20, 8.0), sampled]))
    write_wav(folder / "noise.wav", excerpt(2, 20, 8.0))
    arguments = ["--sample100", str(folder), "--work", str(tmp_path / "work"),
                 "--out", str(tmp_path), "--row", "fingerprints"]  # fmt: skip
    run(samples, monkeypatch, *arguments)
    results = json.loads((tmp_path / "sample100.json").read_text())
    assert results["bench"]["missing"] == ["T003"]
    assert (results["bench"]["queries"], results["bench"]["library"]) == (1, 2)
    found = results["rows"]["fingerprints"]
    assert found["whole"]["mean_average_precision"] == [1.0, 1.0, 1.0]
    # One clip of each length, as much as can be where the sample is heard.
    assert list(found["lengths"]) == ["5 s", "7 s", "10 s", "15 s", "20 s"]
    assert found["lengths"]["10 s"]["hit_rates"]["1"][0] == 1.0
    assert "without audio, left out: T003" in capsys.readouterr().out


def test_what_is_needed_is_said(monkeypatch):
    with pytest.raises(SystemExit, match="needed: --stems, --music, --drums, --speech; or"):
        run(samples, monkeypatch)
