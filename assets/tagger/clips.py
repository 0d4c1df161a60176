"""Write clips in parts: 16 kHz FLAC, a table, targets, and times; a part once, in one piece."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from assets.tagger.labels import Labels
from assets.tagger.scenes import Scene, merge_times
from grafprint.audio import SAMPLE_RATE
from grafprint.files import replace, replace_text

CLIPS, TIMES, TARGETS = "clips.csv", "times.csv", "clips.targets.npz"


def write_part(
    folder: Path, scenes: Iterable[tuple[str, Scene]], split: str, labels: Labels
) -> None:
    """Write named scenes as a part: sounds first, then times, targets, and the table last."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, times, targets = [], [], []
    for name, scene in scenes:
        write_flac(folder / f"{name}.flac", scene.samples)
        path = f"{folder.name}/{name}.flac"
        sure = [labels.names[row] for row in np.nonzero(scene.targets >= 0.5)[0]]
        rows.append([path, ";".join(sure), split])
        spans = merge_times(scene.times)
        times += [[path, label, f"{start:.2f}", f"{end:.2f}"] for label, start, end in spans]
        targets.append(scene.targets)
    _write_table(folder / TIMES, ["clip", "label", "start_s", "end_s"], times)
    _save_targets(folder / TARGETS, labels.names, np.array(targets, np.float16))
    _write_table(folder / CLIPS, ["path", "labels", "split"], rows)


def has_part(folder: Path) -> bool:
    """Whether a part was written to its end."""
    return (folder / CLIPS).is_file()


def join_parts(out: Path, parts: Iterable[Path]) -> int:
    """Write the tables of all parts as one beside them; the number of clips."""
    rows: list[list[str]] = []
    times: list[list[str]] = []
    targets: list[np.ndarray] = []
    names: np.ndarray | None = None
    for part in parts:
        rows += _read_table(part / CLIPS)
        times += _read_table(part / TIMES)
        with np.load(part / TARGETS) as saved:
            names = saved["labels"]
            targets.append(saved["targets"])
    if names is None:
        return 0
    _write_table(out / TIMES, ["clip", "label", "start_s", "end_s"], times)
    _save_targets(out / TARGETS, names.tolist(), np.concatenate(targets))
    _write_table(out / CLIPS, ["path", "labels", "split"], rows)
    return len(rows)


def write_flac(path: Path, samples: np.ndarray) -> None:
    """Mono samples at 16 kHz as FLAC of 16 bits."""
    whole = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", SAMPLE_RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(whole[None], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])


def _save_targets(path: Path, labels: Iterable[str], targets: np.ndarray) -> None:
    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez_compressed(file, labels=np.array(list(labels)), targets=targets)

    replace(path, write)


def _write_table(path: Path, header: list[str], rows: Iterable[Iterable[str]]) -> None:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows(rows)
    replace_text(path, text.getvalue())


def _read_table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))[1:]
