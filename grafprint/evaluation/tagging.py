"""How well a tagger ranks labelled clips: mAP, d-prime and accuracy, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from grafprint.audio.folders import Failure
from grafprint.errors import AudioError, DataError
from grafprint.evaluation.intervals import Rate, percentiles, plain, wilson
from grafprint.evaluation.ranking import Ranking, draws, rank
from grafprint.tagging import ClipTagger
from grafprint.training.tagging_data import ClipSet
from grafprint.training.tagging_metrics import d_prime

_ROUNDS = 500  # of the bootstrap
_RIGHT = 0.5  # targets count as right from here


@dataclass(frozen=True)
class LabelScore:
    """How well the clips of one label are ranked: how many are right, and average precision."""

    label: str
    clips: int
    average_precision: Rate


@dataclass(frozen=True)
class TaggingReport:
    """The figures of a tagger on labelled clips, with 95 % intervals (bootstrap over clips).

    ``mean_average_precision`` and ``d_prime`` are means over ``labels``: those that both the tagger
    and the data have, and for which there are right and wrong clips. ``accuracy`` is how often the
    likeliest of these is right, of the ``single`` clips that have exactly one of them; None if
    there are none.
    """

    tagger_id: str
    clips: int
    mean_average_precision: Rate
    d_prime: Rate
    accuracy: Rate | None
    single: int
    labels: list[LabelScore]
    unknown: list[str]  # labels of the data that the tagger does not have
    failed: list[Failure]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; intervals are [value, low, high]."""
        return {
            "tagger_id": self.tagger_id,
            "clips": self.clips,
            "mean_average_precision": plain(self.mean_average_precision),
            "d_prime": plain(self.d_prime),
            "accuracy": plain(self.accuracy),
            "clips_with_one_label": self.single,
            "labels": [
                {
                    "label": score.label,
                    "clips": score.clips,
                    "average_precision": plain(score.average_precision),
                }
                for score in self.labels
            ],
            "labels_unknown": self.unknown,
            "failed": [failure._asdict() for failure in self.failed],
        }


def choose_split(clips: ClipSet, split: str | None) -> ClipSet:
    """The clips of a split; without a name those for tests, else those for validation, else all.

    Raises DataError if there are none.
    """
    there = dict.fromkeys(file.split for file in clips.files)
    if split is None:
        split = next((name for name in ("test", "valid") if name in there), None)
        if split is None:
            return clips
    if split not in there:
        raise DataError(f"no clip is in the split {split!r}; there are: {', '.join(there)}")
    return clips.of_split(split)


def evaluate_tagger(
    tagger: ClipTagger,
    clips: ClipSet,
    hop_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> TaggingReport:
    """Tag clips and compare with their labels; ``progress(done, total)`` is called meanwhile.

    Raises DataError if no clip can be read, or tagger and data have no label in common.
    """
    check_labels(clips, tagger.labels)
    scores = np.zeros((len(clips), len(tagger.labels)), np.float32)
    failed: list[Failure] = []
    read: list[int] = []
    for number, file in enumerate(clips.files):
        try:
            scores[number] = tagger.tag_file(file.path, hop_s).probabilities
            read.append(number)
        except AudioError as error:
            failed.append(Failure(str(file.path), str(error)))
        if progress:
            progress(number + 1, len(clips))
    if not read:
        raise DataError(f"none of the {len(clips)} clips can be read: {failed[0].reason}")
    return score_tags(
        scores[read], tagger.labels, clips.select(read), tagger.tagger_id, failed, seed
    )


def check_labels(clips: ClipSet, labels: tuple[str, ...]) -> None:
    """Raise DataError unless the clips have a label of a tagger's."""
    if not columns_of(clips, labels):
        raise DataError(
            "the tagger has none of the clips' labels: it has, for example, "
            f"{', '.join(labels[:3])}; they have {', '.join(clips.labels[:3])}"
        )


def columns_of(clips: ClipSet, labels: tuple[str, ...]) -> dict[int, int]:
    """For the labels of clips that are among ``labels``: the column of each in both.

    FSD50K's names of AudioSet's labels count as these: ``Mains_hum``, ``Violin_and_fiddle``.
    """
    number = {_plain_name(label): i for i, label in enumerate(labels)}
    found = {i: number.get(_plain_name(label)) for i, label in enumerate(clips.labels)}
    return {own: other for own, other in found.items() if other is not None}


def score_tags(
    scores: np.ndarray,
    labels: tuple[str, ...],
    clips: ClipSet,
    tagger_id: str,
    failed: list[Failure] | None = None,
    seed: int = 0,
) -> TaggingReport:
    """The report of probabilities ``scores [n, S]`` of ``labels``, from a tagger or a teacher."""
    columns = columns_of(clips, labels)
    weights = np.concatenate(
        [np.ones((1, len(clips)), np.float32), draws(len(clips), _ROUNDS, seed)]
    )
    listed: list[LabelScore] = []
    rankings: list[Ranking] = []
    for own, other in columns.items():
        known = ~np.isnan(clips.targets[:, own])
        right = clips.targets[known, own] >= _RIGHT
        if not right.any() or right.all():
            continue
        ranking = rank(scores[known, other], right, weights[:, known])
        rankings.append(ranking)
        whole = float(ranking.average_precision[0])
        interval = percentiles(ranking.average_precision[1:])
        listed.append(LabelScore(labels[other], int(right.sum()), (whole, *interval)))
    if not rankings:
        raise DataError("for no label that the tagger has are there right and wrong clips")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of draws without any right clip of a label
        precision = np.nanmean([ranking.average_precision for ranking in rankings], axis=0)
        area = np.nanmean([ranking.area for ranking in rankings], axis=0)
    separation = np.array([d_prime(float(a)) for a in area])
    accuracy, single = _accuracy(scores, clips, columns)
    return TaggingReport(
        tagger_id,
        len(clips),
        (float(precision[0]), *percentiles(precision[1:])),
        (float(separation[0]), *percentiles(separation[1:])),
        accuracy,
        single,
        sorted(listed, key=lambda score: -score.average_precision[0]),
        [label for number, label in enumerate(clips.labels) if number not in columns],
        failed or [],
    )


def _accuracy(
    scores: np.ndarray, clips: ClipSet, columns: dict[int, int]
) -> tuple[Rate | None, int]:
    """Of the clips with exactly one label: how often it is the likeliest, and how many they are."""
    right = clips.targets[:, list(columns)] >= _RIGHT  # NaN is not
    others = [number for number in range(len(clips.labels)) if number not in columns]
    alone = (right.sum(axis=1) == 1) & ~(clips.targets[:, others] >= _RIGHT).any(axis=1)
    if not alone.any() or right.shape[1] < 2:
        return None, 0
    best = scores[alone][:, list(columns.values())].argmax(axis=1)
    hits = int((best == right[alone].argmax(axis=1)).sum())
    return wilson(hits, int(alone.sum())), int(alone.sum())


def _plain_name(label: str) -> str:
    words = label.casefold().replace("_", " ").replace(",", " ").split()
    return " ".join(word for word in words if word != "and")
