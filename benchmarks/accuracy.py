"""Hit rates of a network on a collection: index it, query it, write JSON, figure and table.

    python -m benchmarks.accuracy                          # the bundled library, made noises
    python -m benchmarks.accuracy --name test --test TEST --distractors TRAIN \\
        --noise NOISE --rooms ROOMS --queries 200

With --test, a library of both folders is built (or gone on with) in --work, and queries are cut
from the tracks of TEST alone. Results go to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import FIGURES, RESULTS, ROOT, markdown
from grafprint.banks import noise_bank, room_bank
from grafprint.evaluation import EvaluationConfig, evaluate, query_tracks, table
from grafprint.fingerprint import DEFAULT_MODEL, Fingerprinter
from grafprint.library import Library
from grafprint.plots import hit_rates


def collection(args: argparse.Namespace, fingerprinter: Fingerprinter) -> Library:
    """The library to search, built where it does not exist yet."""
    if args.test is None:
        return Library.open(ROOT / "assets" / "library", model_id=fingerprinter.model_id)
    path = args.work / f"library-{fingerprinter.model_id}"
    library = (Library.open(path, writable=True) if path.exists()
               else Library.create(path, fingerprinter))  # fmt: skip
    for folder in filter(None, (args.test, args.distractors)):
        report = library.add_folder(folder, fingerprinter)
        print(f"{folder.name}: {len(report.added)} added, {len(report.failed)} failed", flush=True)
    return library


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="demo", help="of the result files")
    parser.add_argument("--test", type=Path, help="folder of the tracks to query")
    parser.add_argument("--distractors", type=Path, help="folder of more references")
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--rooms", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--snr", default="0,5,10,15,20,none", help="in dB; none: no noise")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    fingerprinter = Fingerprinter.load(args.model)
    noises, rooms = (
        noise_bank(args.noise, "test", 30, 9000),
        room_bank(args.rooms, "test", 20, 9000),
    )
    with collection(args, fingerprinter) as library:
        tracks = None if args.test is None else query_tracks(library, args.test)
        config = EvaluationConfig(
            snrs_db=tuple(None if s == "none" else float(s) for s in args.snr.split(",")),
            queries=args.queries,
            seed=args.seed,
        )
        report = evaluate(
            library, fingerprinter, noises, rooms, config, tracks,
            on_progress=lambda done, total: print(f"\r{done}/{total}", end="", flush=True),
        )  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)
    outcomes = [[asdict(outcome) for outcome in cell.outcomes] for cell in report.cells]
    (args.work / f"outcomes-{args.name}.json").write_text(json.dumps(outcomes))
    (RESULTS / f"accuracy-{args.name}.json").write_text(json.dumps(report.to_json(), indent=1))
    hit_rates(report).savefig(FIGURES / f"accuracy-{args.name}.png", dpi=120)
    print(f"\n{report.references} references, {report.fingerprints} fingerprints")
    for measure in ("hit_50ms", "right_track", "named_right", "named_when_absent"):
        header, *rows = table(report, measure)
        print(f"\n{measure}, % (95 % interval)\n\n{markdown(header, rows)}")


if __name__ == "__main__":
    main()
