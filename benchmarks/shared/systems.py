"""The compared systems: GraFPrint, its paper's baselines, and their indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.index.row_index import NPROBE, hyperplane_buckets

BUCKETS = 256  # the paper's number of centroids


@dataclass(frozen=True)
class System:
    """An encoder, its training run, and the index of its fingerprints.

    ``factory`` None: the default for the size; ``nprobe`` None: the default tuning. ``trained_as``
    names the run whose network it uses.
    """

    title: str
    trained_as: str
    factory: str | None = None
    buckets: Callable[[Fingerprinter], np.ndarray] | None = None
    nprobe: int | None = None

    def create(self, path: Path, fingerprinter: Fingerprinter) -> Library:
        """An empty library of this system."""
        buckets = self.buckets(fingerprinter) if self.buckets else None
        return Library.create(path, fingerprinter, factory=self.factory, buckets=buckets)


def _learned(fingerprinter: Fingerprinter) -> np.ndarray:
    centres = fingerprinter.encoder.bucket_centres()
    if centres is None:
        raise ValueError("this network has learned no buckets")
    result: np.ndarray = centres.detach().cpu().numpy()
    return result


def _random(fingerprinter: Fingerprinter) -> np.ndarray:
    return hyperplane_buckets(fingerprinter.dim, BUCKETS.bit_length() - 1)


SYSTEMS = {
    "grafprint": System("GraFPrint", "grafprint"),
    "nafp": System("NAFP", "nafp"),
    "te-lsh": System("TE + LSH", "transformer", f"IVF{BUCKETS},Flat", _random, NPROBE),
    "te-ht": System("TE + HT", "hash-transformer", f"IVF{BUCKETS},Flat", _learned, NPROBE),
    "ast": System("AST + IVF-PQ", "transformer", f"IVF{BUCKETS},PQ64", nprobe=NPROBE),
}

# Shared by all runs, as in the released network's training. The learning rates are twice the best
# ones on the validation split at a quarter of this batch (for the transformers: by training loss);
# they were not searched again at this batch.
COMMON: dict[str, Any] = {
    "batch": 256,
    "segments_per_track": 4,
    "gap_s": [0.1, 4.0],
    "average": 0.995,
    "degrade": {
        "past_s": 2.0, "made_rooms": 0.5, "colour_probability": 0.4, "clip_probability": 0.1,
        "coarse_probability": 0.1,
    },
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "grafprint": {"encoder": "grafprint", "learning_rate": 8e-4, "final_learning_rate": 8e-6},
    "nafp": {"encoder": "nafp", "learning_rate": 2e-4, "final_learning_rate": 2e-6},
    "transformer": {
        "encoder": "transformer", "learning_rate": 6e-5, "final_learning_rate": 6e-7,
    },
    "hash-transformer": {
        "encoder": "hash-transformer", "learning_rate": 6e-5, "final_learning_rate": 6e-7,
    },
}  # fmt: skip


def recipe(name: str, pairs: int, batch: int) -> dict[str, Any]:
    """The settings of a run; learning rates scale with the square root of the batch."""
    run = RUNS[name]
    scale = (batch / COMMON["batch"]) ** 0.5
    rates = {rate: run[rate] * scale for rate in ("learning_rate", "final_learning_rate")}
    return COMMON | run | rates | {"batch": batch, "steps": pairs // batch}
