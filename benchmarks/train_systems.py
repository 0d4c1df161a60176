"""Train all compared systems on the same data, with the same number of pairs.

    python -m benchmarks.train_systems MANIFEST --noise NOISE --rooms ROOMS --pairs 256000

Each run has a folder in --work and is resumed if it was interrupted; a finished run is skipped.
Smaller batches take more steps for the same number of pairs, which suits small budgets. The
manifest names the validation split (docs/train-your-own.md).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.shared.systems import COMMON, RUNS, recipe
from grafprint.models import checkpoint
from grafprint.training import Progress, train
from grafprint.training.config import config_of


def main() -> None:
    """Train one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--rooms", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=256_000, help="for each system")
    parser.add_argument("--batch", type=int, default=COMMON["batch"], help="pairs per step")
    parser.add_argument("--compile", action="store_true", help="compile the networks first")
    parser.add_argument("--only", choices=list(RUNS), action="append")
    parser.add_argument("--work", type=Path, default=Path("runs"))
    parser.add_argument("--cache", type=Path, help="folder for decoded music")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    for name in args.only or RUNS:
        out = args.work / f"{name}-{args.pairs}"
        settings = recipe(name, args.pairs, args.batch)
        steps = settings["steps"]
        settings |= {"validate_every": steps, "save_every": max(1, steps // 5)}
        settings |= {"compile": args.compile, "seed": args.seed}
        started = time.monotonic()
        if not finished(out, steps):
            train(
                config_of(settings), args.manifest, out, noise=args.noise, rooms=args.rooms,
                cache=args.cache or args.work / "cache", report_every=20, on_progress=show(name),
                resume=(out / "state.safetensors").exists(),
            )  # fmt: skip
        print(f"{name}: {out / 'encoder.safetensors'}, {time.monotonic() - started:.0f} s")


def finished(out: Path, steps: int) -> bool:
    """Whether the run in a folder is complete."""
    path = out / "encoder.safetensors"
    return path.is_file() and bool(checkpoint.load_encoder(path)[2]["steps_done"] == steps)


def show(name: str) -> Callable[[Progress], None]:
    """A printer of progress."""

    def on_progress(p: Progress) -> None:
        scores = {k: round(v, 4) for k, v in (p.validation or {}).items()}
        print(f"{name} {p.step}/{p.steps} loss {p.loss:.3f} accuracy {p.accuracy:.3f} "
              f"{p.seconds_per_step:.2f} s a step {scores or ''}", flush=True)  # fmt: skip

    return on_progress


if __name__ == "__main__":
    main()
