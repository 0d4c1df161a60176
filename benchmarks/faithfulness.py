"""Whether the picture of a label is true: does it point at what is heard, and does it matter?

    python -m benchmarks.faithfulness --mixtures TIMED.csv [--tagger TAGGER.safetensors]

TIMED.csv has the columns clip (relative to it), label, start_s and end_s: mixtures in which it is
known when each label sounds. Of each, the first window is used, and the labels that sound during at
most --longest of it: what sounds all the time cannot be pointed at. For the edges of every label
block, for all of them together, for the pooled patches, and for squares of the spectrogram that are
silenced one by one (grafprint/explore/tag_graph.py):

- pointing: how often the node that speaks most for a label lies in the time when it sounds, beside
  chance (a node drawn at random among those where anything sounds) and beside the pictures of
  labels that are not in the clip, which ought to be no better than chance;
- how far the label's logit falls when the nodes that speak most for it are silenced on the
  spectrogram, beside as many random ones and the loudest ones.

Intervals are of a bootstrap over clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import common
from benchmarks.shared.pointing import (
    Pointing,
    inspect_file,
    measure,
    read_mixtures,
    shared_patches,
    sounding_frames,
)
from grafprint.errors import AudioError, DataError
from grafprint.evaluation.intervals import bootstrap
from grafprint.explore.tag_evidence import POOLED
from grafprint.explore.tag_graph import silence_squares
from grafprint.tagging import ClipTagger

Measured = dict[str, list[list[Pointing]]]  # by evidence: of each clip, of each label in it


def run(
    tagger: ClipTagger, mixtures: Path, longest: float, share: float, draws: int, seed: int
) -> dict[str, Any]:
    """Measure all clips of a table; the results as plain values."""
    clips, unknown = read_mixtures(mixtures, tagger.labels)
    number = {label: i for i, label in enumerate(tagger.labels)}
    rng = np.random.default_rng(seed)
    measured: Measured = {}
    spreads: dict[str, list[float]] = {"patch_logits": [], "label_logits": []}
    shares: dict[str, list[float]] = {}
    used = 0
    for clip, events in clips.items():
        frames = {label: sounding_frames(tagger, times) for label, times in events.items()}
        frames = {label: at for label, at in frames.items() if 0 < at.mean() <= longest}
        if not frames:
            continue
        try:
            graph = inspect_file(tagger, clip)
        except AudioError as error:
            print(f"left out: {error}")
            continue
        used += 1
        spreads["patch_logits"].append(float(graph.patch_logits.std()))
        if graph.label_logits is not None:
            spreads["label_logits"].append(float(graph.label_logits.std()))
        for edges, evidence in zip(graph.edges, graph.evidence, strict=False):
            shares.setdefault(evidence.name, []).append(shared_patches(edges))
        others = np.array([i for label, i in number.items() if label not in events], int)
        squares = silence_squares(tagger, graph, graph.by_name(POOLED).side)
        for evidence in (*graph.evidence, squares):
            measured.setdefault(evidence.name, []).append(
                [
                    measure(tagger, graph, evidence, number[label], at, others, share, draws, rng)
                    for label, at in frames.items()
                ]
            )
        print(f"{used} clips: {clip.name}", flush=True)
    if not used:
        raise DataError(
            f"{mixtures}: no clip has a label that sounds during at most {longest:g} of a window"
        )
    return {
        "tagger_id": tagger.tagger_id,
        "clips": used,
        "labels_in_clips": sum(map(len, next(iter(measured.values())))),
        "labels_unknown": unknown,
        "longest_share": longest,
        "silenced_share": share,
        "spread": {name: float(np.mean(v)) for name, v in spreads.items() if v},
        "shared_patches": {name: float(np.mean(v)) for name, v in shares.items()},
        "evidence": [summary(name, of_clips) for name, of_clips in measured.items()],
    }


def summary(name: str, clips: list[list[Pointing]]) -> dict[str, Any]:
    """The means over all labels of all clips; [mean, low, high] of what the text is about."""

    def mean(value: Callable[[Pointing], float]) -> float:
        return float(np.nanmean([value(p) for clip in clips for p in clip]))

    def interval(value: Callable[[list[Pointing]], float]) -> list[float]:
        def of_drawn(numbers: np.ndarray) -> float:
            return value([p for n in numbers for p in clips[n]])

        everything = value([p for clip in clips for p in clip])
        return [everything, *bootstrap(of_drawn, len(clips))]

    return {
        "name": name,
        "pointing": interval(lambda ps: float(np.mean([p.hit for p in ps]))),
        "times_chance": interval(
            lambda ps: float(np.mean([p.hit for p in ps]) / np.mean([p.chance for p in ps]))
        ),
        "chance": mean(lambda p: p.chance),
        "other_labels": mean(lambda p: p.other_labels),
        "mass": mean(lambda p: p.mass),
        "nodes_silenced": mean(lambda p: p.nodes),
        "fall": mean(lambda p: p.lit),
        "fall_random": mean(lambda p: p.random),
        "fall_loudest": mean(lambda p: p.loudest),
        "fall_beyond_random": interval(lambda ps: float(np.mean([p.lit - p.random for p in ps]))),
        "beats_random": interval(lambda ps: float(np.mean([p.lit > p.random for p in ps]))),
        "of_found": _of_found([p for clip in clips for p in clip if p.found]),
    }


def _of_found(points: list[Pointing]) -> dict[str, float | int]:
    """The same of the labels that the tagger finds likelier than not, as a user looks at these."""
    found: dict[str, float | int] = {"labels": len(points)}
    if points:
        found |= {
            "pointing": float(np.mean([p.hit for p in points])),
            "chance": float(np.mean([p.chance for p in points])),
            "fall": float(np.mean([p.lit for p in points])),
            "fall_random": float(np.mean([p.random for p in points])),
        }
    return found


def table(results: dict[str, Any]) -> str:
    """The results as a Markdown table."""
    header = ["evidence", "pointing", "chance", "other labels", "fall of the logit",
              "random nodes", "loudest nodes"]  # fmt: skip
    rows = []
    for row in results["evidence"]:
        value, low, high = row["pointing"]
        figures = ("chance", "other_labels", "fall", "fall_random", "fall_loudest")
        cells = [f"{row[name]:.2f}" for name in figures]
        rows.append([row["name"], f"{value:.2f} ({low:.2f}-{high:.2f})", *cells])
    return common.markdown(header, rows)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mixtures", type=Path, required=True, help="table of timed mixtures")
    parser.add_argument("--tagger", type=Path, help="default: the bundled one")
    parser.add_argument(
        "--longest", type=float, default=0.3, help="share of the window that a label may sound"
    )
    parser.add_argument("--share", type=float, default=0.1, help="of the nodes to silence, at most")
    parser.add_argument("--draws", type=int, default=5, help="sets of random nodes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="for the JSON; default: benchmarks/results")
    args = parser.parse_args()
    tagger = ClipTagger.load(args.tagger, args.device)
    results = run(tagger, args.mixtures, args.longest, args.share, args.draws, args.seed)
    print(table(results))
    common.write("faithfulness", results, args.out)


if __name__ == "__main__":
    main()
