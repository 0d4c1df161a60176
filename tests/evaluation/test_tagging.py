"""Evaluation of taggers: weighted ranking, which labels count, accuracy, intervals, failures."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grafprint.audio.datasets import DatasetFile
from grafprint.cli import console
from grafprint.errors import DataError
from grafprint.evaluation.ranking import draws, rank
from grafprint.evaluation.tagging import choose_split, evaluate_tagger, score_tags
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_data import ClipSet, find_labelled_clips
from grafprint.training.tagging_metrics import average_precision, d_prime, roc_auc, tagging_scores
from tests import taggers
from tests.cli.commands import grafprint
from tests.training import labelled_clips
from tests.training.labelled_clips import LABELS


def clips_of(
    targets: Sequence[Sequence[float]], labels: tuple[str, ...], split: str = "test"
) -> ClipSet:
    files = [DatasetFile(Path(f"{n}.wav"), str(n), split) for n in range(len(targets))]
    return ClipSet(files, labels, np.array(targets, np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_a_clip_of_weight_two_counts_twice(seed: int):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 12, 30) / 12  # many are equal
    right = rng.random(30) < 0.3
    right[:2] = True, False
    weights = np.concatenate([np.ones((1, 30)), rng.integers(0, 4, (6, 30))])
    found = rank(scores, right, weights)
    for row, counts in enumerate(weights.astype(int)):
        again = np.repeat(np.arange(30), counts)
        expected = average_precision(scores[again], right[again])
        assert found.average_precision[row] == pytest.approx(expected, nan_ok=True)
        expected = roc_auc(scores[again], right[again])
        assert found.area[row] == pytest.approx(expected, nan_ok=True)


def test_draws_are_as_many_clips_each():
    drawn = draws(40, 20, seed=1)
    assert drawn.shape == (20, 40) and (drawn.sum(axis=1) == 40).all()
    assert np.array_equal(drawn, draws(40, 20, seed=1))


def test_the_means_are_those_of_training():
    rng = np.random.default_rng(0)
    targets = (rng.random((60, 4)) < 0.3).astype(np.float32)
    targets[rng.random((60, 4)) < 0.1] = np.nan
    scores = rng.random((60, 4)).astype(np.float32)
    labels = ("a", "b", "c", "d")
    report = score_tags(scores, labels, clips_of(targets.tolist(), labels), "id")
    expected = tagging_scores(scores, targets)
    assert report.mean_average_precision[0] == pytest.approx(expected["mAP"])
    assert report.d_prime[0] == pytest.approx(expected["d_prime"])
    for value, low, high in (report.mean_average_precision, report.d_prime):
        assert low < value < high
    for score in report.labels:
        column = labels.index(score.label)
        known = ~np.isnan(targets[:, column])
        right = targets[known, column] >= 0.5
        assert score.clips == right.sum()
        ap = average_precision(scores[known, column], right)
        assert score.average_precision[0] == pytest.approx(ap)
    aps = [score.average_precision[0] for score in report.labels]
    assert aps == sorted(aps, reverse=True)


def test_labels_that_either_side_lacks_are_left_out():
    """FSD50K's spelling of AudioSet's names is the same label."""
    labels = ("Mains_hum", "Bark", "Violin_and_fiddle", "Wind")
    clips = clips_of([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0]], labels)
    tagger_labels = ("Violin, fiddle", "Wind", "Mains hum", "Piano")
    scores = np.array(
        [[0.1, 0, 0.9, 0], [0.8, 0, 0.2, 0], [0.3, 0, 0.1, 0], [0.2, 0, 0.1, 0.9]], np.float32
    )
    report = score_tags(scores, tagger_labels, clips, "id")
    # No clip has Wind, so nothing is known of it; the tagger lacks Bark.
    assert {s.label for s in report.labels} == {"Violin, fiddle", "Mains hum"}
    assert report.unknown == ["Bark"]
    by_label = {s.label: s.average_precision[0] for s in report.labels}
    assert by_label == {"Mains hum": 1.0, "Violin, fiddle": pytest.approx((1 + 2 / 3) / 2)}
    # The clip of Bark has a label, but none that counts; the tagger's Piano is not asked for.
    assert report.single == 3 and report.accuracy is not None
    assert report.accuracy[0] == 1.0


def test_accuracy_is_of_clips_with_one_label():
    labels = ("a", "b", "c")
    targets = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    scores = np.array([[3, 2, 1], [3, 2, 1], [1, 2, 3], [1, 2, 3], [1, 2, 3]], np.float32)
    report = score_tags(scores, labels, clips_of(targets, labels), "id")
    assert report.single == 3 and report.accuracy is not None
    assert report.accuracy[0] == pytest.approx(2 / 3)
    several = score_tags(scores[3:], labels, clips_of([[1, 1, 0], [0, 1, 1]], labels), "id")
    assert several.accuracy is None and several.to_json()["accuracy"] is None


def test_a_perfect_tagger_has_json_without_infinities():
    labels = ("a", "b")
    clips = clips_of([[1, 0], [0, 1], [1, 0], [0, 1]], labels)
    report = score_tags(np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32), labels, clips, "i")
    assert report.mean_average_precision[0] == 1 and np.isinf(report.d_prime[0])
    json.dumps(report.to_json(), allow_nan=False)
    assert d_prime(0.5) == 0


def test_the_split_is_that_for_tests_if_there_is_one():
    labels = ("a",)
    clips = clips_of([[1], [0], [1]], labels)
    clips.files[0] = replace(clips.files[0], split="train")
    clips.files[1] = replace(clips.files[1], split="valid")
    assert len(choose_split(clips, None)) == 1
    assert choose_split(clips, None).files[0].split == "test"
    assert choose_split(clips.select([0, 1]), None).files[0].split == "valid"
    assert len(choose_split(clips_of([[1], [0]], labels, "train"), None)) == 2
    assert choose_split(clips, "train").files[0].split == "train"
    with pytest.raises(DataError, match="no clip is in the split 'unseen'; there are: train, val"):
        choose_split(clips, "unseen")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger, a table of clips with two that it never heard of each label, and a broken one."""
    root = tmp_path_factory.mktemp("evaluate")
    taggers.save(root / "tagger.safetensors")
    table = labelled_clips.table(root, per_label=3)
    (root / "clips/broken.wav").write_text("no audio")
    with table.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["clips/broken.wav", "Hum", "valid"])
    return root


def test_clips_are_tagged_and_compared_with_their_labels(place: Path):
    tagger = ClipTagger.load(place / "tagger.safetensors")
    clips = choose_split(find_labelled_clips(place / "clips.csv"), None)
    seen = []
    report = evaluate_tagger(tagger, clips, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (7, 7) and report.clips == 6 and report.tagger_id == tagger.tagger_id
    assert [Path(f.path).name for f in report.failed] == ["broken.wav"]
    assert report.mean_average_precision[0] > 0.9 and report.accuracy is not None
    assert report.accuracy[0] > 0.8 and report.single == 6
    with pytest.raises(DataError, match="none of the 1 clips can be read"):
        evaluate_tagger(tagger, clips.select([6]))


def test_the_command_prints_tables_or_json(place: Path, monkeypatch):
    monkeypatch.setattr(console.out, "width", 200)
    output = grafprint("evaluate-tagger", place / "tagger.safetensors", place / "clips.csv")
    assert "6 clips, 3 labels" in output and "mean average precision" in output
    assert "accuracy, 6 clips with one label" in output
    for label in LABELS:
        assert any(line.split()[1:2] == [label] for line in output.splitlines()), label
    report = json.loads(
        grafprint("evaluate-tagger", place / "tagger.safetensors", place / "clips.csv", "--json",
                  "--split", "train", "--hop", 1)
    )  # fmt: skip
    assert report["clips"] == 3 and len(report["labels"]) == 3
    value, low, high = report["mean_average_precision"]
    assert 0 < low <= value <= high <= 1
    assert report["failed"] == []


def test_fsd50k_and_audioset_are_evaluated_as_they_come(place: Path, tmp_path: Path):
    fsd = labelled_clips.fsd50k(tmp_path / "fsd")
    report = json.loads(
        grafprint(
            "evaluate-tagger", place / "tagger.safetensors", fsd, "--json", "--split", "train"
        )
    )
    assert report["clips"] == 2 and report["labels_unknown"] == ["Mains_hum"]
    with pytest.raises(DataError, match="are there right and wrong clips"):  # one clip
        grafprint("evaluate-tagger", place / "tagger.safetensors", fsd)
    audioset = labelled_clips.audioset(tmp_path / "audioset")
    other = taggers.save(tmp_path / "other.safetensors", ("Bark", "Meow", "Moo"))
    with pytest.raises(DataError, match="the tagger has none of the clips' labels"):
        grafprint("evaluate-tagger", other, audioset, "--split", "train")
