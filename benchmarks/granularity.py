"""Figure 2's question: how coarse may hop and tolerance be?

    python -m benchmarks.granularity --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS

The released network at hops of 96, 192, 256 and 512 ms: hit rates within 50, 100, 125 and 250 ms,
noise and reverb at 10 dB, and what a library of an hour takes. (The paper trains a network for each
hop; here one serves all.)
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks import common, workers
from grafprint.evaluation import EvaluationConfig

HOPS_FRAMES = (3, 6, 8, 16)
TOLERANCES_S = (0.05, 0.1, 0.125, 0.25)


def main() -> None:
    """Measure hop by hop."""
    args = common.shared_options(__doc__).parse_args()
    config = EvaluationConfig(
        lengths_s=(1.0, 2.0, 5.0), snrs_db=(10.0,), reverbs=(False, True), queries=args.queries,
        seed=args.seed,
    )  # fmt: skip
    trained = common.model(args, "grafprint")
    folders = [folder for folder in (args.test, args.distractors) if folder]
    rows = []
    with workers.crew(args.processes) as crew:
        for frames in HOPS_FRAMES:
            fingerprinter, helpers = common.shared(crew, replace(trained, hop_frames=frames))
            with common.collection(
                "grafprint", fingerprinter, folders, args.work, helpers
            ) as library:
                label = f"granularity-{frames}"
                report = common.measure(label, library, fingerprinter, config, args, helpers)
            for cell in report.cells:
                rows.append({
                    "hop_s": fingerprinter.hop_s,
                    "fingerprints": report.fingerprints,
                    "length_s": cell.setting.length_s,
                    "reverb": cell.setting.reverb,
                    "queries": len(cell.outcomes),
                    "hits": {f"{t:g}": cell.rate(lambda o, t=t: o.hit(t)) for t in TOLERANCES_S},  # type: ignore[misc]
                })  # fmt: skip
    common.write("granularity", {"network": fingerprinter.facts, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
