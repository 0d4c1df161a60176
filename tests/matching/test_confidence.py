"""The calibration: its monotonicity, its inverse, and how it is fitted."""

import json
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import expit

from benchmarks import calibration
from benchmarks.shared import calibration_by_length, common, open_set
from grafprint.library import Library
from grafprint.matching.confidence import FINGERPRINTS, LANDMARKS
from tests.paths import ASSETS


@pytest.mark.parametrize("calibration", [FINGERPRINTS, LANDMARKS])
def test_confidence_rises_with_score(calibration):
    by_score = [calibration.confidence(score, 5, 10**5) for score in np.linspace(0, 1, 21)]
    assert (np.diff(by_score) > 0).all()
    assert min(by_score) >= 0 and max(by_score) <= 1


@pytest.mark.parametrize("calibration", [FINGERPRINTS, LANDMARKS])
def test_short_queries_and_large_libraries_need_more(calibration):
    short, long = (calibration.score_needed(s, 100_000, rival=0.3) for s in (1, 10))
    assert short > long
    by_size = [calibration.score_needed(5, n) for n in (10_000, 100_000, 1_000_000)]
    assert (np.diff(by_size) > 0).all()
    assert calibration.score_needed(0.5, 1) == calibration.score_needed(1, 0)
    assert calibration.score_needed(30, 1) == calibration.score_needed(10, 1)


def test_a_close_rival_costs_confidence():
    ahead, close = (LANDMARKS.confidence(0.9, 3, 10**5, rival) for rival in (0.45, 0.85))
    assert ahead > 0.9 > 0.5 > close
    assert LANDMARKS.score_needed(3, 10**5, rival=0.6) > LANDMARKS.score_needed(3, 10**5, rival=0.4)


def test_a_lead_over_less_than_chance_counts_no_more():
    """As in libraries of one track, or of a few."""
    usual = LANDMARKS.at(3).rival
    assert 0.2 < usual < 0.6
    for score in (0.3, 0.6, 0.9):
        confident = LANDMARKS.confidence(score, 3, 10**5, usual)
        assert LANDMARKS.confidence(score, 3, 10**5, None) == confident
        assert LANDMARKS.confidence(score, 3, 10**5, usual / 2) == confident
    needed = LANDMARKS.score_needed(3, 10**5)
    assert needed == LANDMARKS.score_needed(3, 10**5, rival=usual)
    assert usual + 0.1 < needed < usual + 0.3


def test_weights_change_steadily_between_the_lengths_that_were_measured():
    knots = LANDMARKS.knots
    for one, other in pairwise(knots):
        middle = LANDMARKS.at((one.length_s * other.length_s) ** 0.5)
        assert middle.per_score == pytest.approx((one.per_score + other.per_score) / 2)
    assert LANDMARKS.at(knots[2].length_s) == knots[2]


@pytest.mark.parametrize("calibration", [FINGERPRINTS, LANDMARKS])
@pytest.mark.parametrize("rival", [None, 0.35])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.99])
def test_the_score_needed_gives_the_confidence(calibration, rival, confidence):
    score = calibration.score_needed(3.0, 4000, confidence, rival)
    assert calibration.confidence(score, 3.0, 4000, rival) == pytest.approx(confidence)


def synthetic(n: int, truth: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Synthetic answers, right as often as ``truth`` says; the others count as absent tracks."""
    rng = np.random.default_rng(0)
    lengths = np.log(rng.choice([1.0, 5.0], n))
    sizes = rng.choice([-1.0, 2.0], n)
    scores, leads = rng.uniform(0, 1, n), rng.uniform(0, 0.5, n)
    odds = truth["intercept"] + truth["per_score"] * scores
    odds += truth["per_log_second"] * lengths + truth["per_log_size"] * sizes
    right = rng.random(n) < expit(odds)
    return np.stack([scores, lengths, sizes, leads, right], axis=1), right


def test_a_fit_finds_the_model_behind_the_answers():
    truth = {"intercept": -9.0, "per_score": 14.0, "per_log_second": 1.5, "per_log_size": -0.5}
    rows, right = synthetic(40_000, truth)
    found, confidences = calibration.fit(rows, right)
    assert found["per_score"] == pytest.approx(14, rel=0.1)
    assert found["per_log_second"] == pytest.approx(1.5, rel=0.15)
    assert found["per_log_size"] == pytest.approx(-0.5, rel=0.2)
    score, log_length, log_size = rows[0, :3]
    assert confidences[0] == pytest.approx(
        calibration.of_line(**found).confidence(
            score, np.exp(log_length), round(1e5 * np.exp(log_size))
        ),
        abs=1e-4,
    )
    assert abs(calibration.with_lead(rows, right)["per_lead"]) < 0.5
    assert open_set.reliability(confidences, right)["expected_calibration_error"] < 0.02
    absent = rows[:, 4] == 0
    assert (confidences[absent] >= found["threshold"]).mean() <= 0.01


def test_a_fit_by_length_finds_the_weight_of_the_lead():
    truth = {"intercept": -9.0, "per_score": 14.0, "per_log_second": 1.5, "per_log_size": -0.5}
    rows, _ = synthetic(60_000, truth)
    rng = np.random.default_rng(1)
    # Mostly, the best other music has what it has by chance.
    rival = np.where(rng.random(len(rows)) < 0.6, 0.25, rng.uniform(0.25, 0.7, len(rows)))
    rows[:, 3] = rows[:, 0] - rival
    odds = -9 + 14 * rows[:, 0] + 1.5 * rows[:, 1] - 0.5 * rows[:, 2] + 8 * rows[:, 3]
    right = rng.random(len(rows)) < expit(odds)
    rows[:, 4] = right
    kinds = np.array(["quiet", "loud"])[rng.integers(0, 2, len(rows))]
    result = calibration_by_length.by_length(rows, right, kinds, 0.01)
    found = calibration_by_length.calibration_of(result["calibration"])
    assert [knot.length_s for knot in found.knots] == [1.0, 5.0]
    for knot in found.knots:
        assert knot.rival == 0.25
        assert knot.intercept == pytest.approx(-9 + 1.5 * np.log(knot.length_s), rel=0.1)
        assert (knot.per_score, knot.per_lead) == (pytest.approx(14, rel=0.1),
                                                   pytest.approx(8, rel=0.15))  # fmt: skip
    assert found.per_log_size == pytest.approx(-0.5, rel=0.2)
    assert result["log_loss"] < result["log_loss_score_only"]
    assert {row["kind"] for row in result["kinds"]} == {"quiet", "loud"}
    absent = rows[:, 4] == 0
    for knot in found.knots:
        here = absent & np.isclose(np.exp(rows[:, 1]), knot.length_s)
        named = [
            found.confidence(s, knot.length_s, round(1e5 * np.exp(z)), s - lead) >= knot.threshold
            for s, _, z, lead, _ in rows[here][:2000]
        ]
        assert np.mean(named) < 0.02


def test_reliability_of_an_overconfident_model():
    result = open_set.reliability(np.full(1000, 0.95), np.arange(1000) % 2 == 0)
    assert result["expected_calibration_error"] == pytest.approx(0.45)
    ((confidence, (share, low, high), number),) = result["bins"]
    assert (confidence, share, number) == (pytest.approx(0.95), 0.5, 1000)
    assert 0.46 < low < 0.5 < high < 0.54


def test_the_calibrations_in_use_are_those_that_were_fitted():
    alone = json.loads((common.RESULTS / "calibration.json").read_text())
    both = json.loads((common.RESULTS / "calibration-landmarks.json").read_text())
    assert calibration.of_line(**alone["calibration"]) == FINGERPRINTS
    assert calibration_by_length.calibration_of(both["calibration"]) == LANDMARKS
    with Library.open(ASSETS / "library") as library:
        assert alone["model_id"] == both["model_id"] == library.model_id
