"""The benchmark of the tagger's picture, on pictures that are known to be right or wrong."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import faithfulness
from benchmarks.shared import pointing
from grafprint.errors import DataError
from grafprint.explore.tag_evidence import ALL_EDGES, POOLED, SILENCED, Evidence, mask_of, masked
from grafprint.explore.tag_graph import LabelEdges, TagGraph
from grafprint.tagging import ClipTagger
from tests import taggers
from tests.libraries import write_wav
from tests.training.labelled_clips import LABELS, clip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger, and two mixtures: hum, then louder hiss; hiss, then music."""
    root = tmp_path_factory.mktemp("mixtures")
    taggers.save(root / "tagger.safetensors")
    rows = [["clip", "label", "start_s", "end_s"]]
    for number, (first, second) in enumerate([("Hum", "Hiss"), ("Hiss", "Music")]):
        parts = [clip(first, number, 1.0), clip(second, 50 + number, 1.05)]
        write_wav(root / f"{number}.wav", np.concatenate(parts).astype(np.float32))
        rows += [[f"{number}.wav", first, "0", "1"], [f"{number}.wav", second, "1", "9"]]
    rows.append(["0.wav", "Bagpipes", "0", "1"])
    write_wav(root / "silent.wav", np.zeros(16_000, np.float32))
    rows.append(["silent.wav", "Hum", "0", "1"])
    with (root / "timed.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture(scope="module")
def tagger(place: Path) -> ClipTagger:
    return ClipTagger.load(place / "tagger.safetensors")


@pytest.fixture(scope="module")
def graph(place: Path, tagger: ClipTagger) -> TagGraph:
    return pointing.inspect_file(tagger, place / "0.wav")


def measured(
    tagger: ClipTagger, graph: TagGraph, evidence: Evidence, end_s: float = 0.9
) -> pointing.Pointing:
    frames = pointing.sounding_frames(tagger, [(0.0, end_s)])
    rng = np.random.default_rng(0)
    return pointing.measure(tagger, graph, evidence, 1, frames, np.array([2]), 0.25, 4, rng)


def test_a_picture_that_points_right_hits_and_one_that_points_wrong_does_not(tagger, graph):
    pooled = graph.by_name(POOLED)  # 2 x 2 nodes
    assert pooled.grid == (2, 2)
    right = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    found = measured(tagger, graph, replace(pooled, values=right))
    # 0.9 s are frames 0 to 28 of the left nodes' 32.
    share = 29 / 32
    assert (found.hit, found.mass) == (pytest.approx(share), pytest.approx(share))
    assert found.other_labels == 0 and found.nodes == 1
    sounds = graph.spectrogram > 0  # of which the hum is less than the hiss
    assert found.chance == pytest.approx(share * sounds[:, :32].sum() / sounds.sum())
    wrong = measured(tagger, graph, replace(pooled, values=right[[1, 0, 2]]))
    assert wrong.hit == wrong.mass == 0
    tie = measured(tagger, graph, replace(pooled, values=np.ones((3, 4), np.float32)))
    assert tie.hit == tie.mass == pytest.approx(share / 2)


def test_the_logit_falls_by_what_silencing_the_nodes_takes_from_it(tagger, graph):
    pooled = graph.by_name(POOLED)
    values = np.array([[0, 0, 0, 1], [0, 2, 0, 1], [0, 0, 0, 1]], np.float32)
    found = measured(tagger, graph, replace(pooled, values=values))
    shape = graph.spectrogram.shape
    without = masked(graph.spectrogram, mask_of(np.array([1]), (2, 2), 32, shape))
    with torch.no_grad():
        logit = tagger.network(torch.from_numpy(without)[None])[0, 1]
    assert found.lit == pytest.approx(float(graph.logits[1] - logit), abs=1e-4)
    nothing = measured(tagger, graph, replace(pooled, values=-values))
    assert nothing.nodes == 0 and nothing.lit == nothing.random == pytest.approx(0, abs=1e-5)


def test_labels_that_share_all_their_patches_are_told(graph):
    edges: LabelEdges = graph.edges[0]
    same = replace(edges, patches=np.tile([1, 5, 7], (3, 1)))
    assert pointing.shared_patches(same) == pytest.approx(1)
    apart = replace(edges, patches=np.array([[0, 1, 2], [3, 4, 5], [2, 6, 7]]))
    assert pointing.shared_patches(apart) == pytest.approx(2 * (1 / 3) / 6)


def test_the_command_writes_what_was_measured(place: Path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv",
        ["faithfulness", "--mixtures", str(place / "timed.csv"), "--tagger",
         str(place / "tagger.safetensors"), "--out", str(place / "out"), "--draws", "2",
         "--longest", "0.6"],
    )  # fmt: skip
    faithfulness.main()
    output = capsys.readouterr().out
    assert "left out: this part is silent" in output and "| pooled patches |" in output
    results = json.loads((place / "out/faithfulness.json").read_text())
    assert results["machine"] and results["tagger_id"]
    assert (results["clips"], results["labels_in_clips"]) == (2, 4)
    assert results["labels_unknown"] == ["Bagpipes"]
    names = [row["name"] for row in results["evidence"]]
    assert names == ["label block 1", "label block 2", "label block 3", ALL_EDGES, POOLED, SILENCED]
    assert list(results["shared_patches"]) == names[:3]
    assert all(0 <= share <= 1 for share in results["shared_patches"].values())
    assert all(value > 0 for value in results["spread"].values()) and len(results["spread"]) == 2
    for row in results["evidence"]:
        value, low, high = row["pointing"]
        assert 0 <= low <= value <= high <= 1
        assert row["times_chance"][0] == pytest.approx(value / row["chance"])
        assert row["of_found"]["labels"] <= 4
        assert 0 < row["chance"] < 1 and row["nodes_silenced"] >= 0


def test_a_table_that_says_nothing_is_refused(place: Path, tagger: ClipTagger):
    (place / "bare.csv").write_text("clip,label\n0.wav,Hum\n")
    with pytest.raises(DataError, match="there is no column start_s, end_s"):
        pointing.read_mixtures(place / "bare.csv", LABELS)
    (place / "always.csv").write_text("clip,label,start_s,end_s\n0.wav,Hum,0,9\n")
    with pytest.raises(DataError, match=r"sounds during at most 0\.9 of a window"):
        faithfulness.run(tagger, place / "always.csv", 0.9, 0.1, 1, 0)
