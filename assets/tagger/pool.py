"""The pool of recorded sounds: decoded once, cut into pieces of at most 10 s, without silence."""

from __future__ import annotations

import csv
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import av
import numpy as np

from assets.tagger.activity import active_span
from assets.tagger.archives import sounds
from assets.tagger.sources import Source
from grafprint import audio
from grafprint.files import replace_text

log = logging.getLogger(__name__)

PIECE_S = 10.0
_LEAST_S = 0.08
_LOUD_ENOUGH = 1e-3  # peak


@dataclass(frozen=True)
class Pool:
    """The pieces of a source: names, and samples ``[n]`` of each at 16 kHz."""

    names: list[str]
    first: np.ndarray
    count: np.ndarray
    samples: np.ndarray  # int16, memory-mapped
    taught: np.ndarray | None  # [pieces, classes of the teacher]

    def __len__(self) -> int:
        return len(self.names)

    def piece(self, number: int) -> np.ndarray:
        """Samples of a piece, int16, not read before they are used."""
        begin = self.first[number]
        return self.samples[begin : begin + self.count[number]]


def fill_pool(folder: Path, source: Source, root: Path, seed: int) -> None:
    """Decode the sounds below ``root`` into ``folder``, unless that was done before."""
    table = folder / f"{_file_name(source.name)}.csv"
    if table.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    found = [(name, what) for name, what in sounds(root) if source.wants(name)]
    if source.most and len(found) > source.most:
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(found), source.most, replace=False)
        found = [found[number] for number in sorted(chosen)]
    rows, end = io.StringIO(), 0
    lines = csv.writer(rows, lineterminator="\n")
    lines.writerow(["name", "first", "count"])
    with table.with_suffix(".i16").open("wb") as pcm:
        for name, what in found:
            try:
                whole = _decode(name, what)
            except audio.AudioError as error:
                log.warning("left out: %s", error)
                continue
            for number, piece in enumerate(pieces(whole)):
                pcm.write(np.round(piece * 32767).astype(np.int16).tobytes())
                lines.writerow([name if not number else f"{name}#{number}", end, len(piece)])
                end += len(piece)
    replace_text(table, rows.getvalue())  # last: it says that all is there


def read_pool(folder: Path, source: Source) -> Pool | None:
    """The pieces of a source; None if there are none."""
    table = folder / f"{_file_name(source.name)}.csv"
    if not table.is_file():
        return None
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if not rows:
        return None
    taught = table.with_suffix(".npy")
    return Pool(
        [row["name"] for row in rows],
        np.array([int(row["first"]) for row in rows]),
        np.array([int(row["count"]) for row in rows]),
        np.memmap(table.with_suffix(".i16"), np.int16, "r"),
        np.load(taught) if taught.is_file() else None,
    )


def pieces(samples: np.ndarray) -> list[np.ndarray]:
    """Cut a sound into equal pieces of at most 10 s, and silence off their ends.

    Each has a peak of at most 1; what is silent or shorter than 0.08 s is left out.
    """
    found = []
    most = round(PIECE_S * audio.SAMPLE_RATE)
    for piece in np.array_split(samples, max(1, -(-len(samples) // most))):
        if not len(piece) or np.abs(piece).max() < _LOUD_ENOUGH:
            continue
        begin, end = active_span(piece)
        piece = piece[begin:end]
        if len(piece) >= _LEAST_S * audio.SAMPLE_RATE:
            found.append(piece / max(1.0, float(np.abs(piece).max())))
    return found


def _decode(name: str, what: bytes | Path) -> np.ndarray:
    if isinstance(what, Path):
        return _decode_g722(what) if what.suffix == ".g722" else audio.load(what)
    with NamedTemporaryFile(suffix=Path(name).suffix) as file:
        file.write(what)
        file.flush()
        return audio.load(file.name)


def _decode_g722(path: Path) -> np.ndarray:
    """Telephone prompts: 64 kbit/s without a header, which the program does not read."""
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.float32) / 32768 if frames else np.zeros(0, np.float32)


def _file_name(source: str) -> str:
    return source.replace("/", "-")
