"""Sets of labelled clips to measure taggers on, and what a teacher says of the same clips."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grafprint.audio.datasets import DatasetFile
from grafprint.audio.folders import audio_files
from grafprint.errors import AudioError, DataError
from grafprint.evaluation.tagging import TaggingReport, columns_of, score_tags
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_data import ClipSet, clip_set

# ESC-10's classes, and the names of AudioSet for each: a class is as likely as the likeliest.
ESC10 = {
    "dog-bark": ("Bark", "Dog"),
    "rain": ("Rain", "Raindrop", "Rain on surface"),
    "sea-waves": ("Waves, surf", "Ocean"),
    "baby-cry": ("Baby cry, infant cry",),
    "clock-tick": ("Tick-tock", "Tick", "Clock"),
    "person-sneeze": ("Sneeze",),
    "helicopter": ("Helicopter",),
    "chainsaw": ("Chainsaw",),
    "rooster": ("Crowing, cock-a-doodle-doo", "Chicken, rooster"),
    "fire-crackling": ("Crackle", "Fire"),
}
_ESC10_NAME = re.compile(r"esc10__\d+-(?P<label>[a-z-]+)__(?P<fold>\d)-")


@dataclass(frozen=True, eq=False)
class Teacher:
    """The probabilities ``[n, L]`` of another tagger, made once: by clip, for its labels."""

    labels: tuple[str, ...]
    row_of: dict[Path, int]
    probabilities: np.ndarray

    @classmethod
    def read(cls, file: Path) -> Teacher:
        """Read ``clips [n]`` (paths, relative to the file), ``labels [L]``, ``probabilities``.

        Raises DataError if the file is anything else.
        """
        try:
            with np.load(file) as saved:
                clips, labels = saved["clips"].tolist(), tuple(saved["labels"].tolist())
                probabilities = saved["probabilities"].astype(np.float32)
        except (KeyError, OSError, ValueError) as error:
            raise DataError(f"{file}: no probabilities of a teacher: {error}") from error
        if probabilities.shape != (len(clips), len(labels)):
            raise DataError(f"{file}: probabilities are not [clips, labels]")
        rows = {(file.parent / clip).resolve(): row for row, clip in enumerate(clips)}
        return cls(labels, rows, probabilities)

    def of(self, files: list[Path]) -> tuple[np.ndarray, list[int]]:
        """The probabilities of those of the files that it knows, and the numbers of these."""
        known = [n for n, file in enumerate(files) if file.resolve() in self.row_of]
        rows = [self.row_of[files[n].resolve()] for n in known]
        return self.probabilities[rows], known


def esc10(folder: Path) -> dict[int, ClipSet]:
    """The clips of ESC-10 in a folder, by fold; label and fold are in their names.

    Such as ``esc10__001-dog-bark__5-203128-a.opus``. Raises DataError if there are none.
    """
    files: dict[int, list[DatasetFile]] = {}
    named: dict[int, list[set[str]]] = {}
    for path in audio_files(folder, []):
        if match := _ESC10_NAME.match(path.name):
            fold = int(match["fold"])
            files.setdefault(fold, []).append(DatasetFile(path, str(path), "test"))
            named.setdefault(fold, []).append({match["label"]})
    if not files:
        raise DataError(f"{folder}: no clip there is named like ESC-10's")
    return {fold: clip_set(files[fold], named[fold], ESC10) for fold in sorted(files)}


def as_esc10(scores: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Probabilities ``[n, S]`` of AudioSet's names as those of ESC-10's classes, ``[n, 10]``.

    Raises DataError if there is no name for a class.
    """
    columns = []
    for label, names in ESC10.items():
        known = [labels.index(name) for name in names if name in labels]
        if not known:
            raise DataError(f"the tagger has no label for ESC-10's {label}: {', '.join(names)}")
        columns.append(scores[:, known].max(axis=1))
    return np.stack(columns, axis=1)


def tag_all(tagger: ClipTagger, clips: ClipSet) -> tuple[np.ndarray, ClipSet]:
    """Probabilities ``[n, S]``, and the clips that they are of: those that can be read."""
    scores, read = [], []
    for number, file in enumerate(clips.files):
        try:
            scores.append(tagger.tag_file(file.path).probabilities)
        except AudioError as error:
            print(f"left out: {error}", flush=True)
            continue
        read.append(number)
        if len(read) % 50 == 0:
            print(f"{len(read)} of {len(clips)} clips", flush=True)
    if not read:
        raise DataError("none of the clips can be read")
    return np.array(scores, np.float32), clips.select(read)


def report(scores: np.ndarray, labels: tuple[str, ...], clips: ClipSet, name: str) -> TaggingReport:
    """The report of probabilities; those of ESC-10 have its classes as labels."""
    if clips.labels == tuple(ESC10):
        return score_tags(as_esc10(scores, labels), tuple(ESC10), clips, name)
    return score_tags(scores, labels, clips, name)


def agreement(
    scores: np.ndarray, labels: tuple[str, ...], teacher: Teacher, files: list[Path]
) -> dict[str, float | int]:
    """How far a tagger agrees with a teacher: no accuracy, as the teacher errs, too.

    ``same_top``: how often the same label is the likeliest of those that both have;
    ``mean_average_precision``: of the tagger's probabilities, if what the teacher finds likelier
    than not were right; ``mean_difference``: of probabilities.
    """
    said, known = teacher.of(files)
    if not known:
        return {"clips": 0}
    nothing = np.zeros((len(known), len(teacher.labels)), np.float32)
    place = ClipSet([DatasetFile(files[n], str(files[n]), "test") for n in known],
                    teacher.labels, nothing)  # fmt: skip
    columns = columns_of(place, labels)
    ours = scores[known][:, list(columns.values())]
    theirs = said[:, list(columns)]
    found: dict[str, float | int] = {
        "clips": len(known),
        "labels": len(columns),
        "same_top": float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()),
        "mean_difference": float(np.abs(ours - theirs).mean()),
    }
    decided = ClipSet(place.files, tuple(teacher.labels[i] for i in columns), theirs)
    try:
        agreed = score_tags(ours, decided.labels, decided, "")
    except DataError:  # the teacher never finds a label likelier than not
        return found
    found["labels_decided"] = len(agreed.labels)
    found["mean_average_precision"] = agreed.mean_average_precision[0]
    return found
