"""What scenes are drawn from: the pool's sounds with their targets, and the fonts of a split."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from assets.tagger.fonts import Font
from assets.tagger.labels import MUSIC, Labels
from assets.tagger.pool import read_pool
from assets.tagger.recipes import Sound
from assets.tagger.sources import Rule, Source, name_says, targets_of_sound

_FONTS = Path(__file__).with_name("fonts.csv")


def sounds_of(
    pool: Path, sources: Iterable[Source], rules: list[Rule], labels: Labels, split: str
) -> list[Sound]:
    """The sounds of a split, with targets. ``named`` ones only, except for training."""
    found = []
    for source in sources:
        pieces = read_pool(pool, source)
        if pieces is None:
            continue
        for number, name in enumerate(pieces.names):
            named, its_split = name_says(source, name, rules)
            if its_split != split or not (named or split == "train"):
                continue
            if split == "train":
                taught = None
                if pieces.taught is not None:
                    taught = of_labels(pieces.taught[number], labels)
                targets = targets_of_sound(source, named, taught, labels)
            else:
                targets = strict(named, labels)
            found.append(Sound(f"{source.name}: {name}", pieces.piece(number), targets))
    return found


def of_labels(taught: np.ndarray, labels: Labels) -> np.ndarray:
    """AudioSet's probabilities ``[521]`` as those of our labels ``[S]``, NaN for our own."""
    return np.array(
        [
            np.nan if label.audioset is None else float(taught[label.audioset])
            for label in labels.labels
        ],
        np.float32,
    )


def strict(named: list[str], labels: Labels) -> np.ndarray:
    """Targets to measure with: what a name tells is right, its kinds are unknown, the rest wrong.

    A teacher has no say, so that it can be measured with the same clips.
    """
    targets = np.zeros(len(labels), np.float32)
    targets[labels.below(named)] = np.nan
    targets[labels.rows(named)] = 1
    return targets


def is_music(sound: Sound, labels: Labels) -> bool:
    """Whether a sound is music whose instruments are unknown."""
    known = ~np.isnan(sound.targets[labels.music])
    return bool(sound.targets[labels.row(MUSIC)] == 1 and known.sum() == 1)


def fonts_of(split: str, root: Path) -> list[tuple[Font, float]]:
    """The sound fonts of a split below the unpacked packages, with their weights."""
    with _FONTS.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == split]
    return [(Font(root / row["path"]), float(row["weight"])) for row in rows]
