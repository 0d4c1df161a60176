"""The calibration: its monotonicity, its inverse, and how it is fitted."""

import json

import numpy as np
import pytest
from scipy.special import expit

from benchmarks import calibration
from benchmarks.shared import common, open_set
from grafprint.library import Library
from grafprint.matching.confidence import CALIBRATION, Calibration
from tests.paths import ASSETS


def test_confidence_rises_with_score():
    by_score = [CALIBRATION.confidence(score, 5, 10**5) for score in np.linspace(0, 1, 21)]
    assert (np.diff(by_score) > 0).all()
    assert min(by_score) >= 0 and max(by_score) <= 1


def test_short_queries_and_large_libraries_need_more():
    by_length = [CALIBRATION.score_needed(s, 100_000) for s in (1, 2, 5, 10)]
    assert (np.diff(by_length) < 0).all()
    by_size = [CALIBRATION.score_needed(5, n) for n in (10_000, 100_000, 1_000_000)]
    assert (np.diff(by_size) > 0).all()
    assert CALIBRATION.score_needed(0.5, 1) == CALIBRATION.score_needed(1, 0)
    assert CALIBRATION.score_needed(30, 1) == CALIBRATION.score_needed(10, 1)


@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.99])
def test_the_score_needed_gives_the_confidence(confidence):
    score = CALIBRATION.score_needed(3.0, 4000, confidence)
    assert CALIBRATION.confidence(score, 3.0, 4000) == pytest.approx(confidence)


def synthetic(n: int, truth: Calibration) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic answers, right as often as ``truth`` says; the others count as absent tracks."""
    rng = np.random.default_rng(0)
    lengths = np.log(rng.choice([1.0, 5.0], n))
    sizes = rng.choice([-1.0, 2.0], n)
    scores, leads = rng.uniform(0, 1, n), rng.uniform(0, 0.5, n)
    odds = truth.intercept + truth.per_score * scores
    odds += truth.per_log_second * lengths + truth.per_log_size * sizes
    right = rng.random(n) < expit(odds)
    return np.stack([scores, lengths, sizes, leads, right], axis=1), right


def test_a_fit_finds_the_model_behind_the_answers():
    truth = Calibration(-9, 14, 1.5, -0.5, 0.5)
    rows, right = synthetic(40_000, truth)
    found, confidences = calibration.fit(rows, right)
    assert found.per_score == pytest.approx(14, rel=0.1)
    assert found.per_log_second == pytest.approx(1.5, rel=0.15)
    assert found.per_log_size == pytest.approx(-0.5, rel=0.2)
    score, log_length, log_size = rows[0, :3]
    assert confidences[0] == pytest.approx(
        found.confidence(score, np.exp(log_length), round(1e5 * np.exp(log_size))), abs=1e-4
    )
    assert abs(calibration.with_lead(rows, right)["per_lead"]) < 0.5
    assert open_set.reliability(confidences, right)["expected_calibration_error"] < 0.02
    absent = rows[:, 4] == 0
    assert (confidences[absent] >= found.threshold).mean() <= 0.01


def test_reliability_of_an_overconfident_model():
    result = open_set.reliability(np.full(1000, 0.95), np.arange(1000) % 2 == 0)
    assert result["expected_calibration_error"] == pytest.approx(0.45)
    ((confidence, (share, low, high), number),) = result["bins"]
    assert (confidence, share, number) == (pytest.approx(0.95), 0.5, 1000)
    assert 0.46 < low < 0.5 < high < 0.54


def test_the_calibration_in_use_is_the_one_that_was_fitted():
    written = json.loads((common.RESULTS / "calibration.json").read_text())
    assert Calibration(**written["calibration"]) == CALIBRATION
    with Library.open(ASSETS / "library") as library:
        assert written["model_id"] == library.model_id
