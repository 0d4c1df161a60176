"""Labelled clips for training taggers: FSD50K, AudioSet, or a table of one's own.

A clip is in the split ``train``, ``valid`` or ``test``.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from zipfile import BadZipFile

import numpy as np

from grafprint.audio.datasets import DatasetFile
from grafprint.audio.folders import audio_files
from grafprint.errors import DataError

log = logging.getLogger(__name__)

_SEPARATOR = ";"  # between labels in one's own table; AudioSet's names contain commas
_ID_LENGTH = 11  # of the videos that AudioSet's clips are from


@dataclass(frozen=True)
class ClipSet:
    """Clips, the names of ``S`` labels, and what is known of each: ``targets [n, S]``, float32.

    1 if the label is right, 0 if it is wrong, in between if a teacher is not sure, and NaN if
    nothing is known, as when a source of clips was never asked for a label.
    """

    files: list[DatasetFile]
    labels: tuple[str, ...]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def of_split(self, split: str) -> ClipSet:
        """The clips of a split."""
        return self.select([i for i, file in enumerate(self.files) if file.split == split])

    def select(self, numbers: Sequence[int]) -> ClipSet:
        """The clips with these numbers."""
        chosen = list(numbers)
        return ClipSet([self.files[i] for i in chosen], self.labels, self.targets[chosen])


def find_labelled_clips(where: str | Path) -> ClipSet:
    """Find clips and their labels.

    - A ``.csv`` or ``.tsv`` file: the columns ``path`` (relative to the file) and ``labels``
      (separated by semicolons), and optionally ``split`` (``train`` if it is missing). Beside
      ``clips.csv`` there may be ``clips.targets.npz`` with targets that names cannot say, such as
      probabilities or NaN: ``labels [S]``, their names, and ``targets [clips, S]``. Then the
      column ``labels`` does not count.
    - The root of FSD50K: ``FSD50K.ground_truth``, ``FSD50K.dev_audio``, ``FSD50K.eval_audio``.
      Its validation clips are the split ``valid``, those for evaluation ``test``.
    - A folder with AudioSet's ``class_labels_indices.csv``, ``balanced_train_segments.csv`` and
      ``eval_segments.csv`` (split ``test``), one of the last two at least. The audio, which
      AudioSet does not contain, is anywhere below: one file for each clip, named by its video id
      (``ID``, ``YID``, or ``ID_`` and anything). Missing ones are counted and left out.

    Raises DataError if nothing is found, or what is found makes no sense.
    """
    where = Path(where)
    try:
        if where.is_file():
            found = _read_table(where)
        elif (where / _FSD50K_TRUTH).is_dir():
            found = _read_fsd50k(where)
        elif (where / _AUDIOSET_CLASSES).is_file():
            found = _read_audioset(where)
        else:
            raise DataError(
                f"{where}: neither a table of clips nor FSD50K nor AudioSet: docs/tagging.md says "
                "what they look like"
            )
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: a table there cannot be read ({error})") from error
    if not len(found):
        raise DataError(f"{where}: no labelled clips found there")
    return found


def clip_set(files: list[DatasetFile], named: list[set[str]], labels: Iterable[str]) -> ClipSet:
    """A set of clips from the names of the labels that are right for each; all others are wrong.

    Raises DataError if a file is listed twice, or has a label that is not in ``labels``.
    """
    labels = tuple(labels)
    column = {label: number for number, label in enumerate(labels)}
    targets = np.zeros((len(files), len(labels)), np.float32)
    seen: set[Path] = set()
    for row, (file, names) in enumerate(zip(files, named, strict=True)):
        if file.path in seen:
            raise DataError(f"{file.path} is listed twice: give it all its labels in one line")
        seen.add(file.path)
        for name in names:
            if name not in column:
                raise DataError(f"{file.path} has the label {name!r}, which is not in the list")
            targets[row, column[name]] = 1
    return ClipSet(files, labels, targets)


def _read_table(path: Path) -> ClipSet:
    files, named = [], []
    for row in _rows(path, ("path", "labels"), "\t" if path.suffix == ".tsv" else ","):
        clip = (path.parent / row["path"]).resolve()
        files.append(DatasetFile(clip, str(clip), row.get("split") or "train"))
        parts = (row["labels"] or "").split(_SEPARATOR)
        named.append({part.strip() for part in parts} - {""})
    if (targets := path.with_suffix(".targets.npz")).is_file():
        return _with_targets(files, targets)
    return clip_set(files, named, sorted(set().union(*named)))


def _with_targets(files: list[DatasetFile], path: Path) -> ClipSet:
    """The clips of a table with the targets of a file beside it."""
    try:
        with np.load(path) as saved:
            labels, targets = saved["labels"], saved["targets"].astype(np.float32)
    except (KeyError, OSError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: no targets of clips can be read there ({error})") from error
    if labels.dtype.kind != "U" or targets.shape != (len(files), len(labels)):
        raise DataError(
            f"{path}: targets {list(targets.shape)} do not fit {len(files)} clips and "
            f"{len(labels)} names of labels"
        )
    if not ((targets >= 0) & (targets <= 1) | np.isnan(targets)).all():
        raise DataError(f"{path}: targets are from 0 to 1, or NaN where nothing is known")
    return ClipSet(
        clip_set(files, [set()] * len(files), labels.tolist()).files,
        tuple(labels.tolist()),
        targets,
    )


_FSD50K_TRUTH = "FSD50K.ground_truth"


def _read_fsd50k(root: Path) -> ClipSet:
    truth = root / _FSD50K_TRUTH
    # Without a header: number, label, id of AudioSet's class.
    labels = [row[1] for row in _lines(truth / "vocabulary.csv")]
    files, named = [], []
    for table, folder in (("dev.csv", "FSD50K.dev_audio"), ("eval.csv", "FSD50K.eval_audio")):
        for row in _rows(truth / table, ("fname", "labels")):
            clip = root / folder / f"{row['fname']}.wav"
            split = {"train": "train", "val": "valid"}.get(row.get("split", ""), "test")
            files.append(DatasetFile(clip, str(clip), split))
            named.append(set(row["labels"].split(",")) - {""})
    return clip_set(files, named, labels)


_AUDIOSET_CLASSES = "class_labels_indices.csv"
_AUDIOSET_TABLES = {"balanced_train_segments.csv": "train", "eval_segments.csv": "test"}


def _read_audioset(root: Path) -> ClipSet:
    classes = list(_rows(root / _AUDIOSET_CLASSES, ("index", "mid", "display_name")))
    name_of = {row["mid"]: row["display_name"] for row in classes}
    labels = [row["display_name"] for row in sorted(classes, key=lambda row: int(row["index"]))]
    clip_of: dict[str, Path] = {}
    for path in audio_files(root, []):
        if video := _video_of(path.stem):
            clip_of.setdefault(video, path)
    tables = [name for name in _AUDIOSET_TABLES if (root / name).is_file()]
    if not tables:
        raise DataError(f"{root}: there is none of {', '.join(_AUDIOSET_TABLES)}")
    files: list[DatasetFile] = []
    named: list[set[str]] = []
    for table in tables:
        listed = 0
        before = len(files)
        for row in _lines(root / table):
            if row[0].startswith("#"):
                continue
            if len(row) != 4:
                raise DataError(f"{root / table}: a line is not id, start, end and classes: {row}")
            listed += 1
            if clip := clip_of.get(row[0]):
                files.append(DatasetFile(clip, row[0], _AUDIOSET_TABLES[table]))
                named.append({name_of.get(mid, mid) for mid in row[3].split(",")})
        log.info("%s: %d of %d clips are there", table, len(files) - before, listed)
    return clip_set(files, named, labels)


def _video_of(stem: str) -> str | None:
    """The video id in a clip's name, or None: ``ID``, ``YID`` or ``ID_...`` of 11 characters."""
    if len(stem) == _ID_LENGTH + 1 and stem[0] == "Y":
        return stem[1:]
    if len(stem) == _ID_LENGTH or stem[_ID_LENGTH : _ID_LENGTH + 1] == "_":
        return stem[:_ID_LENGTH]
    return None


def _rows(path: Path, needed: tuple[str, ...], delimiter: str = ",") -> Iterable[dict[str, str]]:
    """Rows of a table with a header; DataError if columns are missing."""
    with _open(path) as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        if missing := [name for name in needed if name not in (rows.fieldnames or [])]:
            raise DataError(f"{path}: there is no column {', '.join(missing)}")
        for row in rows:
            if any(row[name] is None for name in needed):
                raise DataError(f"{path}: line {rows.line_num} is too short")
            yield row


def _lines(path: Path) -> Iterable[list[str]]:
    """Lines of a table without a header that are not empty."""
    with _open(path) as file:
        yield from (row for row in csv.reader(file, skipinitialspace=True) if row)


def _open(path: Path) -> TextIO:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    return path.open(newline="", encoding="utf-8")
