"""How well taggers tag: clips of ESC-10, instruments, unseen sources; agreement; size and speed.

    python -m benchmarks.tagging --esc10 NOISE --instruments CLIPS.csv:test \\
        --unseen CLIPS.csv:unseen

- --esc10: a folder with clips of ESC-10, of which fold 5 is tagged, with label and fold in the
  names (esc10__001-dog-bark__5-203128-a.opus). With --fold 1=TAGGER, --fold 2=... each fold is also
  tagged by the tagger that was not trained with it, and all folds count together.
- --instruments and --unseen: tables as for train-tagger, and optionally the split after a colon:
  instruments rendered with a sound font that was not trained with, clips of sources that were not.
- --teacher NAME=FILE.npz: probabilities of another tagger, measured on the same clips:
  clips (paths, relative to the file), labels and probabilities [clips, labels].
- --music: a folder of music without labels, on which only agreement with teachers is measured.
- --also NAME=TAGGER: other taggers, such as one without label nodes or with another k.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import tagger_sizes
from benchmarks.shared import common
from benchmarks.shared.tagged_sets import Teacher, agreement, esc10, report, tag_all
from grafprint.audio import SAMPLE_RATE
from grafprint.audio.datasets import DatasetFile
from grafprint.audio.folders import audio_files
from grafprint.evaluation.tagging import choose_split
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_data import ClipSet, find_labelled_clips

BUNDLED = "bundled"
FOLD = 5  # of ESC-10, not trained with
_CLIP_S = 10.0


def table_of(text: str) -> ClipSet:
    """The clips of TABLE or TABLE:SPLIT."""
    path, _, split = text.partition(":")
    return choose_split(find_labelled_clips(path), split or None)


def facts(tagger: ClipTagger, rounds: int) -> dict[str, Any]:
    """The size of a tagger, and its time for 10 s of noise: the median of the rounds."""
    size = tagger_sizes.measure(tagger.network.config)
    noise = np.random.default_rng(0).normal(scale=0.1, size=round(_CLIP_S * SAMPLE_RATE))
    clip, times = noise.astype(np.float32), []
    for _ in range(rounds + 1):  # the first one warms up
        began = time.perf_counter()
        tagger.tag(clip)
        times.append(time.perf_counter() - began)
    return {
        "tagger_id": tagger.tagger_id,
        "labels": len(tagger.labels),
        "parameters_m": round(size.parameters_m, 3),
        "macs_g": round(size.macs_g, 4),
        "ms_10s": round(1000 * statistics.median(times[1:]), 1),
        "device": str(tagger.device),
        "threads": torch.get_num_threads(),
    }


def five_fold(folds: dict[int, ClipSet], taggers: dict[int, ClipTagger]) -> dict[str, Any]:
    """Each fold of ESC-10 tagged by its own tagger; all clips together."""
    if sorted(taggers) != sorted(folds):
        raise SystemExit(f"--fold is needed for each of the folds {', '.join(map(str, folds))}")
    labels = taggers[next(iter(folds))].labels
    scores, files, targets = [], [], []
    for fold, clips in folds.items():
        if taggers[fold].labels != labels:
            raise SystemExit("the taggers of --fold have different labels")
        found, read = tag_all(taggers[fold], clips)
        scores.append(found)
        files += read.files
        targets.append(read.targets)
    all_clips = ClipSet(files, folds[FOLD].labels, np.concatenate(targets))
    return report(np.concatenate(scores), labels, all_clips, "five-fold").to_json()


def measure(
    taggers: dict[str, ClipTagger],
    sets: dict[str, ClipSet],
    music: list[Path],
    teachers: dict[str, Teacher],
    rounds: int,
) -> dict[str, Any]:
    """Every tagger and teacher on every set; agreement of taggers and teachers on the music."""
    results: dict[str, Any] = {"taggers": {}, "sets": {name: {} for name in sets}}
    songs = ClipSet([DatasetFile(p, str(p), "test") for p in music], (), np.zeros((len(music), 0)))
    for name, tagger in taggers.items():
        results["taggers"][name] = facts(tagger, rounds)
        for set_name, clips in sets.items():
            print(f"{name}: {set_name}, {len(clips)} clips", flush=True)
            scores, read = tag_all(tagger, clips)
            found = report(scores, tagger.labels, read, tagger.tagger_id)
            results["sets"][set_name][name] = found.to_json()
        if music and teachers:
            scores, read = tag_all(tagger, songs)
            heard = [file.path for file in read.files]
            agreed = results.setdefault("agreement_on_music", {})
            agreed[name] = {
                of: agreement(scores, tagger.labels, teacher, heard)
                for of, teacher in teachers.items()
            }
    for name, teacher in teachers.items():
        for set_name, clips in sets.items():
            said, known = teacher.of([file.path for file in clips.files])
            if known:
                found = report(said, teacher.labels, clips.select(known), name)
                results["sets"][set_name][name] = found.to_json()
    return results


def table(results: dict[str, Any]) -> str:
    """The sets as a Markdown table; the last column is over the labels that all have."""
    rows = []
    for set_name, of_set in results["sets"].items():
        precisions = {
            name: {s["label"]: s["average_precision"][0] for s in found["labels"]}
            for name, found in of_set.items()
        }
        common_labels = set.intersection(*map(set, precisions.values()))
        for name, found in of_set.items():
            both = [precisions[name][label] for label in common_labels]
            rows.append(
                [set_name, name, str(found["clips"]),
                 *(common.rate_text(found[what], 1, 3)
                   for what in ("accuracy", "mean_average_precision", "d_prime")),
                 f"{statistics.mean(both):.3f} ({len(both)})" if both else "-"]
            )  # fmt: skip
    header = ["clips", "tagger", "number", "accuracy", "mAP", "d-prime", "mAP, labels of all"]
    return common.markdown(header, rows)


def _named(texts: list[str] | None, option: str) -> dict[str, Path]:
    """The files of NAME=FILE; a name may be given once."""
    found: dict[str, Path] = {}
    for text in texts or []:
        name, _, path = text.partition("=")
        if not path or name in found:
            raise SystemExit(f"{option} is NAME=FILE, each name once, not {text}")
        found[name] = Path(path)
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tagger", type=Path, help="default: the bundled one")
    parser.add_argument("--also", action="append", help="NAME=TAGGER, to compare with")
    parser.add_argument("--esc10", type=Path, help="folder with clips of ESC-10")
    parser.add_argument("--fold", action="append", help="N=TAGGER, trained without fold N")
    parser.add_argument("--instruments", help="TABLE or TABLE:SPLIT of rendered instruments")
    parser.add_argument("--unseen", help="TABLE or TABLE:SPLIT of unseen sources")
    parser.add_argument("--music", type=Path, help="folder of music, for agreement")
    parser.add_argument("--teacher", action="append", help="NAME=FILE.npz")
    parser.add_argument("--rounds", type=int, default=15, help="of timing")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="for the JSON; default: benchmarks/results")
    args = parser.parse_args()
    taggers = {BUNDLED: ClipTagger.load(args.tagger, args.device)}
    for name, path in _named(args.also, "--also").items():
        taggers[name] = ClipTagger.load(path, args.device)
    folds = esc10(args.esc10) if args.esc10 else {}
    sets = {"esc10 fold 5": folds[FOLD]} if FOLD in folds else {}
    sets |= {
        name: table_of(text)
        for name, text in (("instruments", args.instruments), ("unseen sources", args.unseen))
        if text
    }
    teachers = {
        name: Teacher.read(path) for name, path in _named(args.teacher, "--teacher").items()
    }
    music = audio_files(args.music, []) if args.music else []
    results = measure(taggers, sets, music, teachers, args.rounds)
    if args.fold:
        of_folds = {
            int(n): ClipTagger.load(path, args.device)
            for n, path in _named(args.fold, "--fold").items()
        }
        results["sets"]["esc10 five-fold"] = {BUNDLED: five_fold(folds, of_folds)}
    print(table(results))
    common.write("tagging", results, args.out)


if __name__ == "__main__":
    main()
