"""Fit the confidence of answers to how often they are right, and choose the default threshold.

    python -m benchmarks.calibration MANIFEST --library LIBRARY --noise NOISE --rooms ROOMS
    python -m benchmarks.calibration ... --landmarks

Queries are cut from the tracks of split ``valid`` in MANIFEST (CSV; see docs/train-your-own.md)
that have one excerpt, and degraded; they are looked up in LIBRARY, which also contains the rest of
the music, and in a small library of those tracks alone (made in --work). Each query counts twice:
as it is, and as if its track were absent, when the best other track would be reported. The music
must not overlap with the test split. Tracks with another version in LIBRARY are left out.

The default threshold is the lowest confidence with a false positive rate of at most 1 % among
absent queries, at every length and size. The benefit of the lead over the next track is measured
too.

With --landmarks they decide beside the fingerprints, there are virtual re-recordings among the
queries, the lead counts, and there is a model and a threshold for each length
(shared/calibration_by_length.py).
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from benchmarks.shared import common
from benchmarks.shared.calibration_by_length import by_length, kinds_of
from benchmarks.shared.open_set import reliability
from benchmarks.shared.workers import Model
from grafprint.audio.datasets import find_music
from grafprint.degradation.banks import noise_bank, room_bank
from grafprint.evaluation import EvaluationConfig, Report, evaluate
from grafprint.evaluation.queries import RERECORDINGS
from grafprint.fingerprint import DEFAULT_MODEL
from grafprint.library import Library
from grafprint.matching.confidence import Calibration, Knot

GRID = EvaluationConfig(
    lengths_s=(1.0, 2.0, 5.0, 10.0), snrs_db=(0.0, 10.0, None), reverbs=(False, True), seed=1
)
WRONG_NAMES = 0.01
# A track whose ten clean seconds score this high on another track has a version in the library, and
# reporting that is not wrong. With the bundled network there is one (a song, as a recording and
# rendered from its notes), at 0.62 to 0.65; the next highest score is 0.50.
VERSION = 0.57


RERECORDED = replace(
    GRID, lengths_s=(1.0, 2.0, 3.0, 5.0, 10.0), rerecordings=RERECORDINGS, landmarks=True
)


def of_line(
    intercept: float, per_score: float, per_log_second: float, per_log_size: float, threshold: float
) -> Calibration:
    """The calibration whose intercept rises with the logarithm of the length, and no more."""
    return Calibration(
        per_log_size,
        tuple(
            Knot(s, intercept + per_log_second * math.log(s), per_score, 0.0, 0.0, threshold)
            for s in (1.0, 10.0)
        ),
    )


def without_versions(report: Report) -> list[int]:
    """The numbers of the queries whose tracks have no other version in the library."""
    longest = max(report.config.lengths_s)
    (clean,) = (
        cell.outcomes
        for cell in report.cells
        if cell.setting.length_s == longest
        and cell.setting.snr_db is None
        and not cell.setting.reverb
        and not cell.setting.rerecording
    )
    versions = {outcome.track for outcome in clean if outcome.wrong_score >= VERSION}
    return [i for i, outcome in enumerate(clean) if outcome.track not in versions]


def evidence(report: Report) -> tuple[np.ndarray, np.ndarray]:
    """The features of each answer, ``[n, 5]``, and whether it is right, bool ``[n]``.

    Score, log length, log size, lead, and whether the track was present.
    """
    rows, right = [], []
    log_size = np.log(report.fingerprints / 1e5)
    kept = without_versions(report)
    for cell in report.cells:
        length = cell.setting.length_s
        for o in (cell.outcomes[i] for i in kept):
            rows.append((o.score, np.log(length), log_size, o.lead, 1.0))
            right.append(o.right_track())
            rows.append((o.wrong_score, np.log(length), log_size, o.wrong_lead, 0.0))
            right.append(False)
    return np.array(rows), np.array(right)


def fit(rows: np.ndarray, right: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """The arguments of :func:`of_line`, and the confidence of each answer."""
    model = LogisticRegression(C=np.inf, max_iter=10_000).fit(rows[:, :3], right)
    # Rounded before use, so that the constants in the code are those that were measured.
    intercept, weights = np.round(model.intercept_[0], 2), np.round(model.coef_[0], 2)
    confidences = expit(intercept + rows[:, :3] @ weights)
    threshold = np.ceil(1e3 * needed(confidences, rows)) / 1e3
    names = ("intercept", "per_score", "per_log_second", "per_log_size", "threshold")
    numbers = map(float, (intercept, *weights, threshold))
    return dict(zip(names, numbers, strict=True)), confidences


def needed(confidences: np.ndarray, rows: np.ndarray) -> float:
    """The confidence that at most 1 % of absent queries reach, at any length in any library."""
    absent = rows[:, 4] == 0
    groups = [
        absent & (rows[:, 1:3] == group).all(axis=1) for group in np.unique(rows[:, 1:3], axis=0)
    ]
    return max(float(np.quantile(confidences[group], 1 - WRONG_NAMES)) for group in groups)


def with_lead(rows: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The weight of the lead in the model, and the true positive rate with it."""
    model = LogisticRegression(C=np.inf, max_iter=10_000).fit(rows[:, :4], right)
    confidences = model.predict_proba(rows[:, :4])[:, 1]
    return {
        "per_lead": float(model.coef_[0][3]),
        "named_right": named_right(confidences, rows, right, needed(confidences, rows)),
    }


def named_right(
    confidences: np.ndarray, rows: np.ndarray, right: np.ndarray, threshold: float
) -> float:
    """The true positive rate: the share of present queries whose track is reported."""
    return float((right & (confidences >= threshold)).sum() / (rows[:, 4] == 1).sum())


def main() -> None:
    """Measure, fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--rooms", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--landmarks", action="store_true", help="with landmarks")
    args = parser.parse_args()

    fingerprinter = Model(args.model, memory=args.work / "queries").load()
    noises, rooms = noise_bank(args.noise, "train", 0, 0), room_bank(args.rooms, "train", 0, 0)
    sources = [source for source in find_music(args.manifest) if source.split == "valid"]
    # Excerpts of the same track may repeat each other: such a match would be right.
    excerpts = Counter(source.track for source in sources)
    held_out = {source.path.resolve() for source in sources if excerpts[source.track] == 1}
    small = args.work / f"held-out-{fingerprinter.model_id}"
    with (
        Library.open(small, writable=True)
        if small.exists()
        else Library.create(small, fingerprinter)
    ) as library:
        for path in sorted(held_out):
            library.add(path, fingerprinter)
    name, grid = "calibration", GRID
    if args.landmarks:
        name, grid = "calibration-landmarks", RERECORDED
    reports, parts, sizes = [], [], []
    for path in (small, args.library):
        with Library.open(path, model_id=fingerprinter.model_id) as library:
            places = [(track, library.audio_path(track)) for track in library.tracks()]
            tracks = [t for t, p in places if p is not None and p.resolve() in held_out]
            report = evaluate(
                library, fingerprinter, noises, rooms, replace(grid, queries=args.queries), tracks,
                lambda done, total: print(f"\r{done}/{total}", end="", flush=True),
                args.work / "journals" / f"{name}-{path.name}.jsonl",
            )  # fmt: skip
        print(f"\n{report.references} references, {report.fingerprints} fingerprints")
        reports.append(report)
        parts.append(evidence(report))
        sizes.append(report.fingerprints)
    facts = {
        "model_id": fingerprinter.model_id,
        "queries": args.queries,
        "sizes": sizes,
        "wrong_names": WRONG_NAMES,
    }
    rows, right = (np.concatenate(part) for part in zip(*parts, strict=True))
    if args.landmarks:
        kinds = np.concatenate([kinds_of(report, without_versions(report)) for report in reports])
        common.write(name, {**facts, **by_length(rows, right, kinds, WRONG_NAMES)})
        return
    found, confidences = fit(rows, right)
    result = reliability(confidences, right)
    named = named_right(confidences, rows, right, found["threshold"])
    lead = with_lead(rows, right)
    print(found)
    print(
        f"expected calibration error {result['expected_calibration_error']:.3f}; "
        f"{100 * named:.1f} % true positives"
    )
    print(
        f"with the lead: {lead['per_lead']:.2f} per unit; "
        f"{100 * lead['named_right']:.1f} % true positives"
    )
    common.write(name, {
        **facts,
        "calibration": found,
        "named_right": named,
        "with_lead": lead,
        **result,
    })  # fmt: skip


if __name__ == "__main__":
    main()
