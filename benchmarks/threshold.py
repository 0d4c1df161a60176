"""Fits the default threshold of matching: how well do *wrong* tracks score, by length and library?

    python -m benchmarks.threshold MANIFEST --library LIBRARY --noise NOISE --rooms ROOMS

Queries are cut from the tracks of split ``valid`` in MANIFEST (CSV; see docs/train-your-own.md)
that have one excerpt, and degraded; they are searched for in LIBRARY, which also holds the rest of
the music, and in a small library of those tracks alone (made in --work). Only the best score of a
wrong track counts: what a clip would get that the library does not have. None of it may be of the
test split.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from grafprint.banks import noise_bank, room_bank
from grafprint.data import find_music
from grafprint.evaluation import EvaluationConfig, Report, evaluate
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library

ROOT = Path(__file__).parent.parent
GRID = EvaluationConfig(
    lengths_s=(1.0, 2.0, 5.0, 10.0), snrs_db=(5.0, None), reverbs=(False, True), seed=1
)
QUANTILE = 0.98
# Game music is reused: a query of which ten clean seconds score so much on another track is in that
# one too, and finding it there is right. Without such, the highest were below 0.7.
SHARED = 0.75


def wrong_scores(report: Report) -> np.ndarray:
    """Best scores of wrong tracks ``[lengths, degradations, queries]``, without shared passages."""
    scores = np.array([[o.wrong_score for o in cell.outcomes] for cell in report.cells])
    scores = scores.reshape(len(report.config.lengths_s), -1, report.config.queries)
    clean = next(
        i
        for i, cell in enumerate(report.cells)
        if cell.setting.snr_db is None and not cell.setting.reverb
    )  # the same place in the cells of each length
    return scores[:, :, scores[-1, clean] < SHARED]


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
    args = parser.parse_args()

    fingerprinter = Fingerprinter.load(args.model)
    noises, rooms = noise_bank(args.noise, "train", 0, 0), room_bank(args.rooms, "train", 0, 0)
    sources = [source for source in find_music(args.manifest) if source.split == "valid"]
    # A track of several excerpts may repeat itself in them: such a match would be a right one.
    excerpts = Counter(source.track for source in sources)
    held_out = {source.path.resolve() for source in sources if excerpts[source.track] == 1}
    config = replace(GRID, queries=args.queries)
    small = args.work / f"held-out-{fingerprinter.model_id}"
    with (
        Library.open(small, writable=True) if small.exists()
        else Library.create(small, fingerprinter)
    ) as library:  # fmt: skip
        for path in sorted(held_out):
            library.add(path, fingerprinter)
    rows = []
    for path in (small, args.library):
        with Library.open(path, model_id=fingerprinter.model_id) as library:
            places = [(track, library.audio_path(track)) for track in library.tracks()]
            tracks = [t for t, p in places if p is not None and p.resolve() in held_out]
            report = evaluate(
                library, fingerprinter, noises, rooms, config, tracks,
                lambda done, total: print(f"\r{done}/{total}", end="", flush=True),
            )  # fmt: skip
        print(f"\n{report.references} references, {report.fingerprints} fingerprints")
        scores = wrong_scores(report)
        print(f"{scores.shape[2]} of {args.queries} queries share nothing with another track")
        for length, at_length in zip(config.lengths_s, scores, strict=True):
            quantile = float(np.quantile(at_length, QUANTILE))
            rows.append((length, report.fingerprints, quantile))
            print(f"{length:g} s: {100 * QUANTILE:g} % of wrong scores are below {quantile:.3f}")
    lengths, sizes, quantiles = map(np.array, zip(*rows, strict=True))
    terms = np.stack([np.ones(len(rows)), np.log(lengths), np.log(sizes / 1e5)], axis=1)
    fit = np.linalg.lstsq(terms, quantiles)[0]
    worst = float(np.abs(terms @ fit - quantiles).max())
    print("threshold = {:.3f} + {:.3f} ln(seconds) + {:.3f} ln(fingerprints / 100000)".format(*fit))
    print(f"off by at most {worst:.3f}")
    results = {
        "model_id": fingerprinter.model_id,
        "quantile": QUANTILE,
        "queries": args.queries,
        "rows": rows,
        "fit": fit.tolist(),
        "largest_error": worst,
    }
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    (folder / "threshold.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
