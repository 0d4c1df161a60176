"""Table II of the paper for every system, with time errors and weak spots from the same queries.

    python -m benchmarks.table2 --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS \\
        --models RUNS --system grafprint --system nafp --system te-lsh --system te-ht --system ast

1, 2, 3 and 5 s; noise, and noise with reverb; 0 to 20 dB. Without --models the released network is
measured, with landmarks as in use (except by the published protocol). Writes one file per system to
benchmarks/results/, from which benchmarks.report fills the pages. --processes shares the work,
--device is where the networks run; the results are the same up to the device's rounding.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.shared import common, workers
from benchmarks.shared.open_set import open_set
from benchmarks.shared.workers import WorkerPool
from grafprint.evaluation import Cell, EvaluationConfig, Outcome, Report


def kind_of_noise(name: str) -> str:
    """The kind of a noise from its file name: the class for ESC-10, else the collection."""
    collection, _, rest = name.partition("__")
    if collection.startswith("esc"):
        return re.sub(r"^\d+-", "", rest.partition("__")[0])
    return collection or "(none)"


def by(group: Callable[[Outcome], str], report: Report) -> dict[str, Any]:
    """Hit rates of the 1 and 5 s queries by group: {group: {measure: [rate, low, high]}}."""
    outcomes: dict[str, dict[float, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for cell in report.cells:
        if cell.setting.length_s in (1.0, 5.0):
            for outcome in cell.outcomes:
                outcomes[group(outcome)][cell.setting.length_s].append(outcome)
    result: dict[str, Any] = {}
    for name, lengths in sorted(outcomes.items()):
        result[name] = {}
        for length, found in sorted(lengths.items()):
            cell = Cell(report.cells[0].setting, found)
            result[name][f"{length:g} s"] = {
                "queries": len(found),
                "hit_50ms": cell.rate(lambda o: o.hit(0.05)),
                "right_track": cell.rate(Outcome.right_track),
            }
    return result


def times(report: Report) -> list[dict[str, Any]]:
    """Time errors of right tracks by length and reverb, over all SNRs."""
    rows = []
    for length in report.config.lengths_s:
        for reverb in report.config.reverbs:
            cells = [c for c in report.cells
                     if (c.setting.length_s, c.setting.reverb) == (length, reverb)]  # fmt: skip
            right = [o for cell in cells for o in cell.outcomes if o.right_track()]
            errors = np.array([o.found_s - o.time_s for o in right])
            hits = errors[np.abs(errors) <= 0.05]
            rows.append({
                "length_s": length, "reverb": reverb, "queries": len(errors),
                "median_s": float(np.median(np.abs(errors))) if len(errors) else None,
                "median_of_hits_s": float(np.median(np.abs(hits))) if len(hits) else None,
                "bias_of_hits_s": float(np.mean(hits)) if len(hits) else None,
            })  # fmt: skip
    return rows


def main() -> None:
    """Measure one system after the other."""
    args = common.shared_options(__doc__).parse_args()
    config = EvaluationConfig(queries=args.queries, protocol=args.protocol, seed=args.seed)
    with workers.worker_pool(args.processes) as pool:
        for name in args.system or ["grafprint"]:
            run(name, config, args, pool)


def run(
    name: str, config: EvaluationConfig, args: argparse.Namespace, pool: WorkerPool | None
) -> None:
    """Measure one system and write its file."""
    asked = common.model(args, name)
    if common.twins(name):  # share this network, and encode the same queries
        asked = replace(asked, memory=args.work / "queries")
    fingerprinter, helpers = common.shared(pool, asked)
    released = args.models is None
    config = replace(config, landmarks=released and args.protocol == "clean")
    folders = [folder for folder in (args.test, args.distractors) if folder]
    label = "table2-released" if released else f"table2-{name}"
    if args.protocol != "clean":
        label += f"-{args.protocol}"
    with common.collection(name, fingerprinter, folders, args.work, helpers) as library:
        report = common.measure(label, library, fingerprinter, config, args, helpers)
        packages = {t.id: t.path.rsplit("/", 1)[-1].partition("__")[0] for t in library.tracks()}
    common.write(label, {
        "system": name,
        "network": fingerprinter.facts,
        **report.to_json(),
        "times": times(report),
        "open_set": open_set(report),
        "by_noise": by(lambda o: kind_of_noise(o.noise), report),
        "by_room": by(lambda o: o.room or "(none)", report),
        "by_package": by(lambda o: packages[o.track], report),
    }, args.out)  # fmt: skip


if __name__ == "__main__":
    main()
