"""Write a trained tagger with the calibration of its probabilities, and what it scores.

    python -m assets.tagger.calibrate RUN/tagger.safetensors CLIPS/clips.csv OUT.safetensors

The clips of the split ``valid`` are used: sounds of fonts and recordings that were not trained
with. The same clips measure it; the test is another one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from grafprint import audio
from grafprint.models.taggers import Tagger, load_tagger, save_tagger
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_calibration import fit_calibration
from grafprint.training.tagging_data import ClipSet, find_labelled_clips
from grafprint.training.tagging_metrics import average_precision, tagging_scores

_ESC_LABELS = (
    "Dog", "Rain", "Waves, surf", "Baby cry, infant cry", "Tick-tock", "Sneeze", "Helicopter",
    "Chainsaw", "Crowing, cock-a-doodle-doo", "Crackle",
)  # fmt: skip
_RENDERED, _RECORDED = "valid-0", "valid-recorded"


def logits_of(tagger: Tagger, clips: ClipSet) -> np.ndarray:
    """Logits ``[n, S]`` of the first window of each clip, padded as a tagger in use pads it."""
    used = ClipTagger(tagger)
    size = used.window_samples
    found = []
    with torch.no_grad():
        for file in clips.files:
            samples = audio.load(file.path, duration_s=used.window_s)[:size]
            inputs, _ = used.inputs(np.pad(samples, (0, size - len(samples)))[None])
            found.append(used.network(inputs)[0].numpy())
    return np.array(found)


def group(clips: ClipSet, folder: str) -> list[int]:
    """The numbers of the clips below a folder whose name begins so."""
    return [n for n, file in enumerate(clips.files) if file.path.parent.name.startswith(folder)]


def esc_accuracy(
    logits: np.ndarray, targets: np.ndarray, labels: tuple[str, ...]
) -> tuple[int, int]:
    """How many clips with exactly one of ESC-10's labels have it as the highest of the ten."""
    columns = [labels.index(name) for name in _ESC_LABELS]
    right = targets[:, columns] == 1
    rows = np.nonzero(right.sum(axis=1) == 1)[0]
    best = logits[rows][:, columns].argmax(axis=1)
    return int(right[rows, best].sum()), len(rows)


def main(
    tagger: Annotated[Path, typer.Argument(help="The trained tagger.")],
    table: Annotated[Path, typer.Argument(help="The clips' table.")],
    out: Annotated[Path | None, typer.Argument(help="Where to write; only scores without.")] = None,
) -> None:
    """Fit the calibration, print scores, and write the tagger."""
    trained = load_tagger(tagger)
    clips = find_labelled_clips(table).of_split("valid")
    if clips.labels != trained.labels:
        raise typer.BadParameter("the clips have other labels than the tagger")
    logits = logits_of(trained, clips)
    for name, folder in (("all", "valid"), ("rendered", _RENDERED), ("recorded", _RECORDED)):
        if rows := group(clips, folder):
            scores = tagging_scores(logits[rows], clips.targets[rows])
            typer.echo(f"{name}: {len(rows)} clips, mAP {scores['mAP']:.3f}")
    if set(_ESC_LABELS) <= set(clips.labels):
        rows = group(clips, _RECORDED)
        right, count = esc_accuracy(logits[rows], clips.targets[rows], clips.labels)
        typer.echo(f"ESC-10's labels: {right} of {count} right")
    for score, label, clips_of_it in sorted(precisions(logits, clips)):
        typer.echo(f"  {score:.2f} {label} ({clips_of_it})")
    if out is None:
        return
    facts = trained.facts | {"calibration": fit_calibration(logits, clips.targets)}
    save_tagger(out, trained.network, trained.labels, trained.features, facts)
    typer.echo(f"written: {out}")


def precisions(logits: np.ndarray, clips: ClipSet) -> list[tuple[float, str, int]]:
    """Average precision, name, and number of right clips of each label that has any."""
    found = []
    for column, label in enumerate(clips.labels):
        known = ~np.isnan(clips.targets[:, column])
        right = clips.targets[known, column] >= 0.5
        if right.any():
            found.append((average_precision(logits[known, column], right), label, int(right.sum())))
    return found


if __name__ == "__main__":
    typer.run(main)
