"""Virtual re-recordings, and what landmarks add to fingerprints there.

    python -m benchmarks.rerecordings --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS

Clips of the test tracks that went through loudspeakers, rooms with people talking, microphones and
phones (``default`` and the presets), and a few conditions of Table II: identified by fingerprints
alone, and with landmarks beside them. Both get the same queries.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.shared import common, workers
from grafprint.evaluation import RERECORDINGS, EvaluationConfig

CONFIG = EvaluationConfig(
    lengths_s=(1.0, 2.0, 3.0, 5.0, 10.0), snrs_db=(0.0, 10.0), rerecordings=RERECORDINGS
)


def main() -> None:
    """Measure twice and write."""
    args = common.shared_options(__doc__).parse_args()
    config = replace(CONFIG, queries=args.queries, seed=args.seed)
    with workers.worker_pool(args.processes) as pool:
        asked = replace(common.model(args, "grafprint"), memory=args.work / "queries")
        fingerprinter, helpers = common.shared(pool, asked)
        folders = [folder for folder in (args.test, args.distractors) if folder]
        results = {}
        with common.collection("grafprint", fingerprinter, folders, args.work, helpers) as library:
            for name, landmarks in (("fingerprints", False), ("with landmarks", True)):
                label = f"rerecordings-{name.replace(' ', '-')}"
                variant = replace(config, landmarks=landmarks)
                report = common.measure(label, library, fingerprinter, variant, args, helpers)
                results[name] = report.to_json()
    common.write("rerecordings", {"network": fingerprinter.facts, **results}, args.out)


if __name__ == "__main__":
    main()
