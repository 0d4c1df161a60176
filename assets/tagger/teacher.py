"""Ask YAMNet, once: probabilities of AudioSet's 521 classes.

    python assets/tagger/teacher.py yamnet.tflite OUT/pool
    python assets/tagger/teacher.py yamnet.tflite said.npz yamnet_class_map.csv CLIP...

The first asks about a pool of sounds, for the clips to train with; sources that have been asked are
left out. The second asks about any clips, so that ``benchmarks.tagging --teacher`` can compare. Run
it with a Python of its own that has ai-edge-litert and NumPy, and for clips PyAV; it needs nothing
else of the project.
"""

from __future__ import annotations

import csv
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

_WINDOW, _HOP = 15600, 7800  # samples at 16 kHz: 0.975 s


def probabilities(interpreter: Any, samples: np.ndarray) -> np.ndarray:
    """The highest probability of each class over the windows of a sound, ``[521]``."""
    given = interpreter.get_input_details()[0]["index"]
    wanted = interpreter.get_output_details()[0]["index"]
    if len(samples) < _WINDOW:
        samples = np.pad(samples, (0, _WINDOW - len(samples)))
    found = []
    for begin in range(0, len(samples) - _WINDOW // 2, _HOP if len(samples) < 3e4 else _WINDOW):
        window = samples[begin : begin + _WINDOW]
        window = np.pad(window, (0, _WINDOW - len(window)))
        interpreter.set_tensor(given, window[None].astype(np.float32))
        interpreter.invoke()
        found.append(interpreter.get_tensor(wanted)[0])
    return np.asarray(np.max(found, axis=0))


def ask_about_pool(interpreter: Any, pool: Path) -> None:
    """Ask about all sources in ``pool`` that have no probabilities yet."""
    for table in sorted(pool.glob("*.csv")):
        out = table.with_suffix(".npy")
        if out.exists():
            continue
        with table.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        if not rows:
            continue
        pcm = np.memmap(table.with_suffix(".i16"), np.int16, "r")
        said = []
        for row in rows:
            first, count = int(row["first"]), int(row["count"])
            said.append(probabilities(interpreter, pcm[first : first + count] / np.float32(32767)))
        half = out.with_suffix(".part.npy")
        np.save(half, np.array(said, np.float16))
        os.replace(half, out)
        print(f"{table.stem}: {len(rows)} sounds")


def ask_about_clips(interpreter: Any, out: Path, classes: Path, clips: list[Path]) -> None:
    """Write ``clips`` (relative to ``out``), ``labels`` and ``probabilities [clips, labels]``."""
    with classes.open(newline="", encoding="utf-8") as lines:
        names = [row["display_name"] for row in csv.DictReader(lines)]
    write(out, clips, names, [probabilities(interpreter, decode(clip)) for clip in clips])


def write(out: Path, clips: list[Path], labels: list[str], said: list[np.ndarray]) -> None:
    """Write what a teacher says, for ``benchmarks.tagging``; ``said`` is of each clip."""
    paths = [os.path.relpath(clip.resolve(), out.resolve().parent) for clip in clips]
    np.savez(
        out,
        clips=np.array(paths),
        labels=np.array(labels),
        probabilities=np.array(said, np.float32),
    )


def decode(clip: Path) -> np.ndarray:
    """Mono samples at 16 kHz."""
    import av

    resampler = av.AudioResampler("flt", "mono", 16000)
    with av.open(str(clip)) as container:
        found = [
            part.to_ndarray()[0]
            for frame in [*container.decode(audio=0), None]
            for part in resampler.resample(frame)
        ]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def main(network: str, out: str, classes: str = "", *clips: str) -> None:
    """Ask about a pool, or about clips."""
    # By name: it is no dependency of the project.
    interpreter = import_module("ai_edge_litert.interpreter").Interpreter(network, num_threads=1)
    interpreter.allocate_tensors()
    if classes:
        ask_about_clips(interpreter, Path(out), Path(classes), [Path(clip) for clip in clips])
    else:
        ask_about_pool(interpreter, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
