"""Ablation of the recipe: one change at a time, on the same budget, on the validation split.

    python -m benchmarks.ablation MANIFEST --noise NOISE --rooms ROOMS

Every row trains a GraFPrint encoder of half the width from random weights on --pairs pairs, with
one change to the base, and scores it on the validation tracks (grafprint/training/validation.py): 1
s queries at 0-10 dB, right within 50 ms. Rows already in the results are not run again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.shared import common
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.models.checkpoint import load_encoder
from grafprint.training import train
from grafprint.training.config import config_of

HALF = {"widths": [32, 64, 128, 256], "pooled_width": 512, "hidden_width": 2048}
LIFE = {"colour_probability": 0.4, "clip_probability": 0.1, "codec_probability": 0.05}
BASE: dict[str, Any] = {
    "batch": 64, "learning_rate": 1e-3, "final_learning_rate": 1e-5, "warmup_steps": 50,
    "segments_per_track": 4, "gap_s": [0.1, 4.0], "average": 0.98,
    "encoder_options": HALF, "degrade": LIFE, "save_every": 10**9,
}  # fmt: skip


def encoder(**options: Any) -> dict[str, Any]:
    """A change to the network."""
    return {"encoder_options": HALF | options}


def degrade(**options: Any) -> dict[str, Any]:
    """A change to the degradations."""
    return {"degrade": LIFE | options}


ROWS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, another seed": {"seed": 1},
    "base, a third seed": {"seed": 2},
    "one segment a track (no hard negatives)": {"segments_per_track": 1},
    "2 segments a track": {"segments_per_track": 2},
    "8 segments a track": {"segments_per_track": 8},
    "segments at most 1 s apart": {"gap_s": [0.1, 1.0]},
    "temperature 0.1": {"temperature": 0.1},
    "temperature 0.03": {"temperature": 0.03},
    "triplet loss, semi-hard": {"loss": "triplet"},
    "memory of 4096 negatives": {"memory": 4096},
    "half the steps of 128 pairs": {"batch": 128},
    "twice the learning rate": {"learning_rate": 2e-3},
    "half the learning rate": {"learning_rate": 5e-4},
    "no average of weights": {"average": 0.0},
    "the paper's degradations (0-20 dB, always reverb)": {
        "degrade": {"snr_db": [0.0, 20.0], "noise_probability": 1.0, "reverb_probability": 1.0}
    },
    "no microphone, clipping, codec": {"degrade": {}},
    "reverb without a past": degrade(past_s=0.0),
    "always reverb": degrade(reverb_probability=1.0),
    "speed changes of 1 %": degrade(speed_change=0.01),
    "SNR from -10 dB": degrade(snr_db=[-10.0, 20.0]),
    "offsets of 25 ms": {"offset_s": 0.025},
    "offsets of 10 ms, segments from 60 ms on": {"offset_s": 0.01, "gap_s": [0.06, 4.0]},
    "no dilation": encoder(dilation=False),
    "relative position": encoder(relative_position=True),
    "drop-path 0.1": encoder(drop_path=0.1),
    "k = 2": encoder(k=2),
    "k = 5": encoder(k=5),
    "twice the nodes": encoder(stem_stride=[2, 1]),
    "group normalisation": encoder(norm_groups=8),
}


def main() -> None:
    """Run the missing rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--noise", type=Path, required=True)
    parser.add_argument("--rooms", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=12_800)
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--only", action="append", choices=list(ROWS))
    args = parser.parse_args()

    banks = noise_bank(args.noise, "train", 0, 0), room_bank(args.rooms, "train", 0, 0)
    try:
        results = common.read("ablation")
    except FileNotFoundError:
        results = {"pairs": args.pairs, "base": BASE, "rows": {}}
    if results["pairs"] != args.pairs:
        raise SystemExit(
            f"the results used {results['pairs']} pairs: delete them, or use the same number"
        )
    for name in args.only or ROWS:
        settings = json.loads(json.dumps(BASE | ROWS[name]))  # as in the results
        if results["rows"].get(name, {}).get("settings") == settings:
            continue
        scores = run(settings, *banks, args)
        results["rows"][name] = {"settings": settings, "scores": scores}
        common.write("ablation", results)
        print(f"{name}: {json.dumps(scores)}", flush=True)


def run(
    settings: dict[str, Any], noises: NoiseBank, rooms: RoomBank, args: argparse.Namespace
) -> dict[str, float]:
    """Train one row and return its validation scores."""
    steps = args.pairs // settings["batch"]
    config = config_of(settings | {"steps": steps, "validate_every": steps})
    with tempfile.TemporaryDirectory() as folder:
        path = train(
            config, args.manifest, Path(folder), noise=noises, rooms=rooms,
            cache=args.cache, report_every=100,
            on_progress=lambda p: print(f"  {p.step}: loss {p.loss:.3f}", flush=True),
        )  # fmt: skip
        scores: dict[str, float] = load_encoder(path)[2]["validation"]
    return scores


if __name__ == "__main__":
    main()
