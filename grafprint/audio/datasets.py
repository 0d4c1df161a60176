"""Find music, noises and room responses in folders, manifests, FMA, MUSAN and AIR.

Training uses the split ``train`` and evaluation the split ``test``. A collection without splits
is used whole by both: it is then up to the user to keep training and evaluation data apart.
"""

from __future__ import annotations

import csv
import logging
import re
import zlib
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from scipy.signal import resample_poly

from grafprint import audio
from grafprint.audio.folders import Failure, audio_files, walk
from grafprint.errors import DataError

log = logging.getLogger(__name__)

# MUSAN has no splits: every fifth noise, by a checksum of its name, is for tests.
_MUSAN_TEST_SHARE = 5
# Nor has AIR: it is split by room, with small and large rooms in both splits.
AIR_TEST_ROOMS = frozenset({"stairway", "lecture", "lecture1", "kitchen"})
_AIR_NAME = re.compile(r"air_(?:binaural|phone(?:_BT)?)_([a-z]+1?(?:_carolina)?)_", re.IGNORECASE)


def find_clips(where: str | Path) -> list[DatasetFile]:
    """Find noises or room responses.

    - The root of MUSAN (a folder with ``noise``, ``music`` and ``speech``): its noises, every
      fifth in the split ``test``. Its music and speech are not used.
    - A folder with ``air_*.mat`` anywhere below (the Aachen Impulse Response database): all its
      responses; those from AIR_TEST_ROOMS are in the split ``test``.
    - Anything that :func:`find_music` understands.

    Raises DataError if nothing is found.
    """
    where = Path(where)
    if all((where / part).is_dir() for part in ("noise", "music", "speech")):
        return [
            replace(noise, split="train" if _checksum(noise.path) % _MUSAN_TEST_SHARE else "test")
            for noise in find_music(where / "noise")
        ]
    if where.is_dir() and (responses := [f for f in walk(where, []) if _is_air(f)]):
        return [DatasetFile(f, f.stem, _air_split(f)) for f in sorted(responses)]
    return find_music(where)


def load_clips(where: str | Path, split: str) -> tuple[list[np.ndarray], list[str]]:
    """Decode the noises or room responses of a split: float clips ``[n]`` at 16 kHz, and names.

    Unreadable files are logged and left out. Raises DataError if none can be read.
    """
    clips, names = [], []
    for file in of_split(find_clips(where), split):
        try:
            clips.append(load_clip(file.path))
            names.append(file.path.stem)
        except ValueError as error:  # AudioError is one
            log.warning("left out: %s", error)
    if not clips:
        raise DataError(f"{where}: none of the files could be decoded")
    return clips, names


def of_split(files: list[DatasetFile], split: str) -> list[DatasetFile]:
    """The files of a split, or all files if the collection has no splits."""
    if len({file.split for file in files}) <= 1:
        return files
    return [file for file in files if file.split == split]


def load_clip(path: Path) -> np.ndarray:
    """Read a noise or room response: float ``[n]`` at 16 kHz. Raises ValueError if it cannot."""
    if path.suffix.lower() != ".mat":
        return audio.load(path)
    # AIR: the response h_air, at the rate air_info.fs (48 kHz).
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
        response = np.asarray(content["h_air"], np.float64).reshape(-1)
        rate = int(content["air_info"].fs)
    except (KeyError, AttributeError, TypeError, ValueError, OSError, MatReadError) as error:
        raise ValueError(f"{path}: not a room response from AIR ({error!r})") from error
    common = gcd(rate, audio.SAMPLE_RATE)
    result = resample_poly(response, audio.SAMPLE_RATE // common, rate // common)
    return np.asarray(result, np.float32)


def _is_air(path: Path) -> bool:
    return path.name.startswith("air_") and path.suffix == ".mat"


def _air_split(path: Path) -> str:
    match = _AIR_NAME.match(path.name)
    return "test" if match and match[1].lower() in AIR_TEST_ROOMS else "train"


def _checksum(path: Path) -> int:
    return zlib.crc32(path.stem.encode())


@dataclass(frozen=True)
class DatasetFile:
    """One audio file. Files of the same ``track`` are never in one batch.

    ``split`` is ``train``, ``valid`` or ``test``.
    """

    path: Path
    track: str
    split: str = "train"


def find_music(where: str | Path) -> list[DatasetFile]:
    """Find training music in a CSV manifest, an FMA tree or any folder.

    - A ``.csv`` or ``.tsv`` file: a column ``path`` (relative to the file), and optionally
      ``track`` (files of one recording) and ``split`` (``train`` or ``valid``).
    - An FMA tree: a folder holding ``fma_metadata/tracks.csv`` and ``fma_*`` folders, or one of
      those (``fma_small``); FMA's own split into training, validation and test is used.
    - Any other folder: every audio file below it, as :func:`grafprint.audio.folders.audio_files`
      finds them; each is its own track. Unreadable folders are logged.

    Raises DataError if nothing is found.
    """
    where = Path(where)
    if where.is_file():
        found = _read_manifest(where)
    elif (where / _FMA_TRACKS).is_file():
        found = _read_fma(where, "fma_*/*/*.mp3")
    elif where.name.startswith("fma_") and (where.parent / _FMA_TRACKS).is_file():
        found = _read_fma(where.parent, f"{where.name}/*/*.mp3")
    elif where.is_dir():
        failed: list[Failure] = []
        found = [DatasetFile(p, str(p)) for p in audio_files(where, failed)]
        for failure in failed:
            log.warning("left out: %s: %s", failure.path, failure.reason)
    else:
        raise DataError(f"{where}: no such folder or manifest")
    if not found:
        raise DataError(f"{where}: no music found there")
    return found


def _read_manifest(path: Path) -> list[DatasetFile]:
    try:
        return _manifest_rows(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: neither a folder nor a CSV manifest ({error})") from error


def _manifest_rows(path: Path) -> list[DatasetFile]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        if "path" not in (rows.fieldnames or []):
            raise DataError(f"{path}: a manifest needs a column named 'path'")
        return [
            DatasetFile(
                (path.parent / row["path"]).resolve(),
                row.get("track") or row["path"],
                row.get("split") or "train",
            )
            for row in rows
        ]


_FMA_TRACKS = Path("fma_metadata", "tracks.csv")


def _read_fma(root: Path, pattern: str) -> list[DatasetFile]:
    """Read FMA's tracks.csv: it has two header rows, and the split is the column (set, split)."""
    with (root / _FMA_TRACKS).open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        first, second = next(rows), next(rows)
        try:
            column = list(zip(first, second, strict=True)).index(("set", "split"))
        except ValueError as error:
            raise DataError(f"{root}: tracks.csv has no column set/split") from error
        names = {"training": "train", "validation": "valid"}
        split = {r[0].zfill(6): names.get(r[column], "test") for r in rows if r and r[0].isdigit()}
    files = sorted(root.glob(pattern))
    return [DatasetFile(p, p.stem, split[p.stem]) for p in files if p.stem in split]
