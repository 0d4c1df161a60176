"""Calibration of a tagger's probabilities on held-out clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from assets.tagger import calibrate
from grafprint.models.taggers import ATGNN, features_of, load_tagger, save_tagger, variant
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_calibration import fit_calibration
from grafprint.training.tagging_data import find_labelled_clips
from tests.training import labelled_clips


def drawn(scale: float, bias: float, clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets that are right as often as these calibrated probabilities say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 3, clips)
    return logits, (rng.random(clips) < expit(scale * logits + bias)).astype(np.float32)


def log_loss(logits: np.ndarray, targets: np.ndarray, scale: float, bias: float) -> float:
    p = expit(scale * logits + bias)
    return float(-np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p)))


def test_scale_and_bias_are_found_where_there_are_many_clips():
    made = [drawn(0.5, -1.0, 20_000, 0), drawn(0.7, 0.5, 20_000, 1)]
    found = fit_calibration(*(np.stack(both, axis=1) for both in zip(*made, strict=True)))
    assert found["scale"] == pytest.approx([0.5, 0.7], abs=0.05)
    assert found["bias"] == pytest.approx([-1.0, 0.5], abs=0.1)


def test_probabilities_become_as_high_as_labels_are_frequent():
    logits, targets = drawn(0.4, -2.0, 3000, 2)
    found = fit_calibration(logits[:2000, None], targets[:2000, None])
    scale, bias = found["scale"][0], found["bias"][0]
    tested = logits[2000:], targets[2000:]
    assert log_loss(*tested, scale, bias) < log_loss(*tested, 1, 0) - 0.1
    likely = expit(scale * logits[2000:] + bias) > 0.5
    assert targets[2000:][likely].mean() > 0.5 > targets[2000:][~likely].mean()


def test_labels_without_clips_are_calibrated_like_the_others():
    logits, targets = drawn(0.5, -1.0, 5000, 3)
    table = np.stack([targets, np.full_like(targets, np.nan), np.zeros_like(targets)], axis=1)
    found = fit_calibration(np.stack([logits] * 3, axis=1), table)
    # Of the second nothing is known; the third was never right, which lowers all of them.
    common = fit_calibration(np.stack([logits] * 2, axis=1), table[:, [0, 2]])
    assert found["scale"][0] == pytest.approx(common["scale"][0], abs=1e-6)
    assert found["bias"][2] < found["bias"][1] < found["bias"][0]
    assert min(found["scale"]) > 0
    nothing = fit_calibration(np.zeros((4, 2)), np.full((4, 2), np.nan))
    assert nothing == {"scale": [1.0, 1.0], "bias": [0.0, 0.0]}


def test_separable_and_reversed_labels_stay_finite():
    logits = np.linspace(-5, 5, 40)
    right = (logits > 0).astype(np.float32)
    for targets in (right, 1 - right):
        found = fit_calibration(logits[:, None], targets[:, None])
        assert np.isfinite([*found["scale"], *found["bias"]]).all() and found["scale"][0] > 0


def test_accuracy_is_of_clips_with_one_of_the_ten_labels():
    labels = ("Piano", *calibrate._ESC_LABELS)
    targets = np.zeros((4, 11), np.float32)
    targets[0, 1] = targets[1, 2] = targets[2, 3] = targets[2, 4] = targets[3, 0] = 1
    logits = np.zeros((4, 11))
    logits[0, 1] = logits[1, 5] = 3
    logits[0, 0] = 9  # no label of ESC-10
    assert calibrate.esc_accuracy(logits, targets, labels) == (1, 2)


def test_a_tagger_is_written_with_its_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = labelled_clips.table(tmp_path, per_label=2, held_out=1)
    torch.manual_seed(0)
    network = ATGNN(variant("small", labels=3, depths=(1, 1, 1, 1), widths=(8, 8, 8, 8)))
    save_tagger(tmp_path / "a.safetensors", network, labelled_clips.LABELS, features_of("small"))
    calibrate.main(tmp_path / "a.safetensors", table, tmp_path / "b.safetensors")
    said = capsys.readouterr().out
    assert all(f"{label} (1)" in said for label in labelled_clips.LABELS)
    before, after = (load_tagger(tmp_path / f"{name}.safetensors") for name in "ab")
    for name, weights in before.network.state_dict().items():
        assert torch.equal(weights, after.network.state_dict()[name])
    # A clip of 2.5 s, which is padded to a window, has the same logits as in use.
    tagger = ClipTagger(after)
    scale, bias = (np.array(after.facts["calibration"][name]) for name in ("scale", "bias"))
    clips = find_labelled_clips(table).of_split("valid")
    logits = calibrate.logits_of(before, clips)
    for file, of_clip in zip(clips.files, logits, strict=True):
        found = tagger.tag_file(file.path).probabilities
        np.testing.assert_allclose(found, expit(scale * of_clip + bias), atol=1e-5)
    assert "calibration" not in before.facts
    assert len(after.facts["calibration"]["scale"]) == len(after.facts["calibration"]["bias"]) == 3
