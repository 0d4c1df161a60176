"""Figure 2 of the paper: hit rates by hop and tolerance.

    python -m benchmarks.granularity --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS

The released network at hops of 96, 192, 288 and 480 ms: hit rates within 50, 100, 125 and 250 ms,
noise and reverb at 10 dB, and the number of fingerprints in the library. (The paper trains a
network for each hop; here one is used for all.) The music is fingerprinted once, at the first hop;
the other hops are multiples of it, and their libraries subsets.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.shared import common, workers
from grafprint.evaluation import EvaluationConfig
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.add_file import add_file

HOPS_FRAMES = (3, 6, 9, 15)
TOLERANCES_S = (0.05, 0.1, 0.125, 0.25)


def thinned(whole: Library, fingerprinter: Fingerprinter, every: int, work: Path) -> Library:
    """A library of every ``every``-th fingerprint of each track, made or resumed in ``work``.

    ``fingerprinter`` has that hop. Kept open for writing.
    """
    library = common.opened("grafprint", fingerprinter, work)
    for track in whole.tracks():
        prepared = common.fingerprints_of(whole, track, every)
        if (file := whole.audio_path(track)) and prepared.vectors.any():
            add_file(library, file, fingerprinter, prepared=prepared)
    library.finish()
    return library


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
    with workers.worker_pool(args.processes) as pool:
        first, helpers = common.shared(pool, replace(trained, hop_frames=HOPS_FRAMES[0]))
        whole = common.collection("grafprint", first, folders, args.work, helpers)
        for frames in HOPS_FRAMES:
            fingerprinter, helpers = common.shared(pool, replace(trained, hop_frames=frames))
            every = frames // HOPS_FRAMES[0]
            library = whole if every == 1 else thinned(whole, fingerprinter, every, args.work)
            label = f"granularity-{frames}"
            report = common.measure(label, library, fingerprinter, config, args, helpers)
            if library is not whole:
                library.close()
            for cell in report.cells:
                rows.append({
                    "hop_s": fingerprinter.hop_s,
                    "fingerprints": report.fingerprints,
                    "length_s": cell.setting.length_s,
                    "reverb": cell.setting.reverb,
                    "queries": len(cell.outcomes),
                    "hits": {f"{t:g}": cell.rate(lambda o, t=t: o.hit(t)) for t in TOLERANCES_S},  # type: ignore[misc]
                })  # fmt: skip
        whole.close()
    common.write("granularity", {"network": fingerprinter.facts, "rows": rows}, args.out)


if __name__ == "__main__":
    main()
