"""Batches for taggers: which clips are drawn, cut, mixed and masked; and the metrics."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from grafprint.audio.datasets import DatasetFile
from grafprint.errors import DataError
from grafprint.training.data import PcmCache
from grafprint.training.tagging_batches import TaggingBatches, balanced_weights, mask, mix
from grafprint.training.tagging_data import ClipSet
from grafprint.training.tagging_metrics import average_precision, d_prime, roc_auc, tagging_scores
from tests.training.labelled_clips import write

SAMPLES = 1600
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]  # constant clips: their level says which one it is
LENGTHS = [800, 1600, 2400, 800, 1600, 2400]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[PcmCache, ClipSet]:
    """Six clips of constant level and different lengths; label 0 is of four, 1 of one, 2 of two.

    In the middle there is a file that cannot be decoded.
    """
    root = tmp_path_factory.mktemp("clips")
    files = []
    for number, (level, length) in enumerate(zip(LEVELS, LENGTHS, strict=True)):
        write(root / f"{number}.wav", np.full(length, level))
        files.append(DatasetFile(root / f"{number}.wav", str(number)))
    (root / "broken.wav").write_bytes(b"RIFF")
    files.insert(3, DatasetFile(root / "broken.wav", "broken"))
    targets = np.array(
        [[1, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, math.nan]]
    )
    clips = ClipSet(files, ("a", "b", "c"), targets.astype(np.float32))
    return PcmCache(files, root / "cache"), clips


def batches_of(data: tuple[PcmCache, ClipSet], **options: Any) -> TaggingBatches:
    """Batches of the six clips."""
    cache, clips = data
    settings: dict[str, Any] = {"batch": 6, "samples": SAMPLES, "seed": 0} | options
    return TaggingBatches(cache, clips, **settings)


def drawn_in(batches: TaggingBatches, steps: int) -> list[int]:
    """The clips of the first steps."""
    return [number for step in range(steps) for number in which(batches[step].audio.numpy())]


def which(audio: np.ndarray) -> list[int]:
    """The clips that a batch has, by their level at the beginning."""
    return [int(np.abs(np.array(LEVELS) - level).argmin()) for level in audio[:, 0]]


def test_an_epoch_has_every_clip_once_with_its_targets(data):
    batches = batches_of(data, batch=2)
    assert batches.steps_per_epoch == 3
    targets = np.delete(data[1].targets, 3, axis=0)  # without the broken one
    orders = []
    for epoch in range(2):
        order = []
        for step in range(3):
            clips = batches[3 * epoch + step]
            audio, target = clips.audio, clips.targets
            assert audio.shape == (2, SAMPLES) and target.shape == (2, 3)
            order += which(audio.numpy())
            np.testing.assert_array_equal(target.numpy(), targets[order[-2:]])
        assert sorted(order) == list(range(6))
        orders.append(order)
    assert orders[0] != orders[1]


def test_short_clips_are_followed_by_silence_and_long_ones_are_cut(data):
    batches = batches_of(data)
    audio = batches[0].audio.numpy()
    for row, number in zip(audio, which(audio), strict=True):
        length = min(LENGTHS[number], SAMPLES)
        np.testing.assert_allclose(row[:length], LEVELS[number], atol=1e-3)
        assert not row[length:].any()


def test_batches_are_functions_of_seed_rank_and_step(data):
    options = {"batch": 3, "samples": SAMPLES, "mixup": 0.5, "balanced": True, "world": 2}
    first = batches_of(data, seed=1, rank=0, **options)
    again = batches_of(data, seed=1, rank=0, **options)
    other = batches_of(data, seed=1, rank=1, **options)
    assert first.steps_per_epoch == 1
    for step in (7, 2):
        assert torch.equal(first[step].audio, again[step].audio)
        torch.testing.assert_close(first[step].targets, again[step].targets, equal_nan=True)
    assert not torch.equal(first[0].audio, other[0].audio)
    assert not torch.equal(first[0].audio, first[1].audio)


def test_mixed_clips_have_mixed_targets(data):
    batches = batches_of(data, samples=800, mixup=1.0)
    plain = batches_of(data, samples=800)
    targets = np.delete(data[1].targets, 3, axis=0)
    mixed = 0
    for step in range(20):
        audio, target = batches[step].audio, batches[step].targets
        for row, number in enumerate(which(plain[step].audio.numpy())):
            level = float(audio[row, 0])
            # The share of the clip and the other clip follow from level and targets.
            matches = [
                other
                for other in range(6)
                if other != number
                and 0 <= (share := (level - LEVELS[other]) / (LEVELS[number] - LEVELS[other])) <= 1
                and np.allclose(
                    target[row].numpy(),
                    share * targets[number] + (1 - share) * targets[other],
                    atol=0.01,
                    equal_nan=True,
                )
            ]
            alone = abs(level - LEVELS[number]) < 1e-3  # mixed with itself
            assert matches or alone
            mixed += bool(matches)
    assert mixed > 80


def test_about_the_asked_share_is_mixed(data):
    batches = batches_of(data, samples=800, mixup=0.5)
    plain = batches_of(data, samples=800)
    changed = [
        (batches[step].audio != plain[step].audio).any(dim=1).float().mean().item()
        for step in range(40)
    ]
    # One in six is mixed with itself and stays as it is, but for rounding.
    assert 0.35 < np.mean(changed) < 0.6


def test_mixup_equals_its_formula():
    a, b = np.array([1.0, 0.0], np.float32), np.array([0.0, math.nan], np.float32)
    mixed = mix(a, b, np.float32(0.25))
    assert mixed[0] == 0.25 and math.isnan(mixed[1])  # what is unknown of one is unknown


def test_balanced_weights_favour_rare_labels(data):
    targets = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    weights = balanced_weights(targets)
    assert weights.sum() == pytest.approx(1)
    assert weights[3] / weights[0] == pytest.approx(5)  # 1/4 + 1 against 1/4
    assert weights[4] == weights[0]
    assert balanced_weights(np.full((2, 2), math.nan)).tolist() == [0.5, 0.5]
    batches = batches_of(data, samples=800, balanced=True)
    drawn = np.bincount(drawn_in(batches, 300), minlength=6)
    expected = balanced_weights(np.delete(data[1].targets, 3, axis=0))
    np.testing.assert_allclose(drawn / drawn.sum(), expected, atol=0.04)


def test_too_few_clips_are_refused(data):
    with pytest.raises(DataError, match="a batch of 8 needs as many clips; there are 6"):
        batches_of(data, batch=4, world=2)


def test_masks_silence_one_band_and_one_moment():
    x = torch.ones(400, 16, 20)
    y = mask(x, 0.5, 0.25, torch.Generator().manual_seed(0))
    assert torch.equal(x, torch.ones_like(x))  # not in place
    widths: dict[int, list[int]] = {1: [], 2: []}
    for clip in y:
        for axis, lines in ((1, clip.any(dim=1)), (2, clip.any(dim=0))):
            silent = (~lines).nonzero().flatten().tolist()
            assert silent == list(range(silent[0], silent[-1] + 1)) if silent else True
            widths[axis].append(len(silent))
        bins, frames = clip.any(dim=1), clip.any(dim=0)
        assert torch.equal(clip.bool(), bins[:, None] & frames)  # nothing else is
    assert set(widths[1]) == set(range(9)) and set(widths[2]) == set(range(6))
    edges = [(~clip.any(dim=1))[[0, -1]].float() for clip in y]
    assert torch.stack(edges).mean(dim=0).min() > 0.05  # the lowest and highest bin, too
    assert torch.equal(mask(x, 0, 0, torch.Generator().manual_seed(0)), x)
    assert not mask(x, 1, 1, torch.Generator().manual_seed(3))[:40].all()


def test_metrics_equal_loops_and_scikit_learn():
    rng = np.random.default_rng(0)
    for ties in (False, True):
        scores = rng.random(60)
        if ties:
            scores = scores.round(1)
        right = rng.random(60) < 0.3
        assert average_precision(scores, right) == pytest.approx(
            average_precision_score(right, scores)
        )
        assert roc_auc(scores, right) == pytest.approx(roc_auc_score(right, scores))
        wins = [
            (a > b) + (a == b) / 2 for a in scores[right].tolist() for b in scores[~right].tolist()
        ]
        assert roc_auc(scores, right) == pytest.approx(np.mean(wins))
    assert d_prime(0.5) == 0 and d_prime(0.9) == pytest.approx(1.8124, abs=1e-4)


def test_labels_without_clips_and_unknown_targets_do_not_count():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.6], [0.4, 0.2, 0.7]])
    targets = np.array([[1, 0, 1], [0, 0, math.nan], [0, 0, 0]], np.float32)
    found = tagging_scores(scores, targets)
    assert found["mAP"] == pytest.approx((1 + 0.5) / 2)
    assert found["d_prime"] == pytest.approx(d_prime((1 + 0) / 2))
    empty = tagging_scores(scores, np.zeros((3, 3), np.float32))
    assert math.isnan(empty["mAP"]) and math.isnan(empty["d_prime"])
