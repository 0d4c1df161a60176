"""Where the sounds come from, and what their names say: sources.csv and rules.csv."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.tagger.labels import MUSIC, Labels

_HERE = Path(__file__).parent
SURE = 0.5  # a teacher's probability from which its label counts as heard
_DOUBTFUL = 0.2


@dataclass(frozen=True)
class Source:
    """A package or folder of sounds.

    ``split`` is ``train``, ``valid``, or ``unseen`` for a source never trained with. ``music`` says
    what labels of music are that the name of a sound does not tell: ``no``, or ``unknown``. Of its
    sounds ``most`` are taken at random (0: all), none whose name matches ``skip``.
    """

    name: str
    split: str
    music: str
    most: int
    skip: str

    def wants(self, sound: str) -> bool:
        """Whether the sound of this name is of use."""
        return not (self.skip and re.search(self.skip, f"/{sound}", re.IGNORECASE))


@dataclass(frozen=True)
class Rule:
    """Labels of the sounds of a source whose name matches a pattern, or another split for them."""

    source: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    split: str


def read_sources(path: Path = _HERE / "sources.csv") -> list[Source]:
    """The sources of a table."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [
            Source(row["source"], row["split"], row["music"], int(row["most"]), row["skip"])
            for row in csv.DictReader(lines)
        ]


def read_rules(path: Path = _HERE / "rules.csv") -> list[Rule]:
    """The rules of a table; a source stands for all whose names begin with it."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [
            Rule(
                row["source"],
                re.compile(row["pattern"], re.IGNORECASE),
                tuple(filter(None, row["labels"].split(";"))),
                row["split"],
            )
            for row in csv.DictReader(lines)
        ]


def name_says(source: Source, sound: str, rules: list[Rule]) -> tuple[list[str], str]:
    """The labels that the name of a sound tells, and its split."""
    labels: dict[str, None] = {}
    split = source.split
    for rule in rules:
        if source.name.startswith(rule.source) and rule.pattern.search(f"/{sound}"):
            labels.update(dict.fromkeys(rule.labels))
            split = rule.split or split
    return list(labels), split


def targets_of_sound(
    source: Source, named: list[str], taught: np.ndarray | None, labels: Labels
) -> np.ndarray:
    """Targets ``[S]`` of a sound: 1 where its name says so, a teacher's probability, 0, or NaN.

    ``taught [S]`` are a teacher's probabilities, NaN for labels that it does not know; None if it
    was not asked. It is not asked about music: of that, YAMNet hears little.
    """
    targets = np.full(len(labels), np.nan, np.float32)
    if taught is not None:
        targets = np.where(labels.music, np.nan, taught).astype(np.float32)
    right = labels.rows(named)
    if right and labels.music[right].all():
        # Of music the teacher's other labels are mostly wrong: a drum is no explosion.
        targets[~labels.music] = np.where(targets[~labels.music] >= _DOUBTFUL, np.nan, 0)
    if source.music == "no":
        # Unless the teacher hears music all the same, or the name does not tell which.
        heard = taught is not None and taught[labels.row(MUSIC)] >= SURE
        unnamed = heard and not labels.music[right].any()
        targets[labels.music] = np.nan if unnamed else 0.0
        open_ones = [row for row in labels.below(named) if labels.music[row]]
        targets[open_ones] = np.nan
    targets[right] = 1
    return targets
