"""The labels of the bundled tagger, and which are right for a rendered instrument."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grafprint.errors import DataError

_TABLE = Path(__file__).with_name("labels.csv")
MUSIC = "Music"


@dataclass(frozen=True)
class Label:
    """A label: its name, AudioSet's index if it is one of AudioSet's, and its parents.

    ``music`` tells music and instruments from other sounds. ``programs`` are the General MIDI
    programs (from 0; ``d38`` is note 38 of the drum channel, ``d0`` all of it) for which it is
    right, ``unsure`` those for which it may be.
    """

    name: str
    audioset: int | None
    music: bool
    programs: frozenset[str]
    unsure: frozenset[str]
    parents: tuple[str, ...]


class Labels:
    """The labels in order, to turn names into targets ``[S]``."""

    def __init__(self, labels: Iterable[Label]) -> None:
        self.labels = tuple(labels)
        self.names = tuple(label.name for label in self.labels)
        self._row = {name: row for row, name in enumerate(self.names)}
        self.music = np.array([label.music for label in self.labels])
        for label in self.labels:
            if unknown := set(label.parents) - set(self.names):
                raise DataError(f"{label.name}: its parent {unknown.pop()} is not a label")

    def __len__(self) -> int:
        return len(self.labels)

    def row(self, name: str) -> int:
        """The number of a label; DataError if there is no such label."""
        if name not in self._row:
            raise DataError(f"{name!r} is not a label")
        return self._row[name]

    def rows(self, names: Iterable[str]) -> list[int]:
        """The numbers of labels and of all their ancestors."""
        found: dict[int, None] = {}
        waiting = list(names)
        while waiting:
            row = self.row(waiting.pop())
            if row not in found:
                found[row] = None
                waiting.extend(self.labels[row].parents)
        return sorted(found)

    def below(self, names: Iterable[str]) -> list[int]:
        """The numbers of all descendants of those labels that have none among ``names``."""
        listed = list(names)
        ancestors = {
            row for name in listed for row in self.rows(self.labels[self.row(name)].parents)
        }
        open_rows = {self.row(name) for name in listed} - ancestors
        return [
            row
            for row, name in enumerate(self.names)
            if row not in open_rows and open_rows & set(self.rows([name]))
        ]

    def of_program(self, program: str) -> np.ndarray:
        """Targets ``[S]`` of an instrument: 1, 0, or NaN where one could argue."""
        targets = np.zeros(len(self), np.float32)
        unsure = [label.name for label in self.labels if program in label.unsure]
        targets[self.rows(unsure)] = np.nan
        right = [label.name for label in self.labels if program in label.programs]
        targets[self.rows(right)] = 1
        return targets

    @property
    def programs(self) -> list[str]:
        """Programs and drum notes that some label is right for."""
        named = set().union(*(label.programs for label in self.labels))
        return sorted(named - {"d0"}, key=lambda name: (name[0] == "d", int(name.lstrip("d"))))

    def select(self, names: Sequence[str]) -> Labels:
        """Only these labels; parents that are not among them are dropped."""
        kept = set(names)
        return Labels(
            Label(
                label.name,
                label.audioset,
                label.music,
                label.programs,
                label.unsure,
                tuple(parent for parent in label.parents if parent in kept),
            )
            for label in self.labels
            if label.name in kept
        )


def read_labels(path: Path = _TABLE) -> Labels:
    """The labels of a table: ``label, audioset, kind, programs, unsure, parents``."""
    with path.open(newline="", encoding="utf-8") as lines:
        return Labels(
            Label(
                row["label"],
                int(row["audioset"]) if row["audioset"] else None,
                row["kind"] == "music",
                frozenset(row["programs"].split()),
                frozenset(row["unsure"].split()),
                tuple(filter(None, row["parents"].split(";"))),
            )
            for row in csv.DictReader(lines)
        )
