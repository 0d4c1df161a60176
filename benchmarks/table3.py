"""Table III's question: what does a growing library of other music cost?

    python -m benchmarks.table3 --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS \\
        --sizes 100000,400000,1000000 --system grafprint

Noisy and reverberated queries are searched for in a library that grows: first the test tracks, then
the distractors, then the distractors again at other speeds, which is other music to a fingerprint
(pitch and tempo change by 6 % and more). The same queries are asked at each size. What
benchmarks.table2 has heard in the same --work is taken from its library, and what the size before
has from that size's.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from benchmarks.shared import common, workers
from benchmarks.shared.workers import Model, Shared, WorkerPool
from grafprint import audio
from grafprint.audio.folders import audio_files
from grafprint.errors import AudioError
from grafprint.evaluation import EvaluationConfig
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.add_file import FileFingerprints, add_file

# Semitones apart, and never an octave, where a changed copy might resemble its original.
SPEEDS = [Fraction(17, 16), Fraction(16, 17), Fraction(9, 8), Fraction(8, 9), Fraction(6, 5),
          Fraction(5, 6), Fraction(5, 4), Fraction(4, 5)]  # fmt: skip
Distractor = tuple[Path, Fraction]  # a file and the speed it is played at


def distractors(folder: Path) -> Iterator[Distractor]:
    """Every file of the folder as it is, then at one speed after the other."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in audio.AUDIO_SUFFIXES)
    for speed in (Fraction(1), *SPEEDS):
        for path in files:
            yield path, speed


def made(folder: Path, distractor: Distractor) -> Path:
    """A distractor's file: as it is, or a copy at its speed that is written to ``folder``."""
    path, speed = distractor
    file = placed(folder, distractor)
    if speed != 1:
        samples = resample_poly(audio.load(path), speed.denominator, speed.numerator)
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
        wavfile.write(file, audio.SAMPLE_RATE, pcm)
    return file


def placed(folder: Path, distractor: Distractor) -> Path:
    """Where :func:`made` has it."""
    path, speed = distractor
    if speed == 1:
        return path
    return folder / f"{path.stem}@{speed.numerator}-{speed.denominator}.wav"


def heard(model: Model, folder: Path, distractor: Distractor) -> FileFingerprints | None:
    """Make a distractor and fingerprint it, in a process of the crew."""
    return workers.hear(model, made(folder, distractor))


def _made_only(folder: Path, wanted: list[Distractor]) -> Generator[None, None, None]:
    for distractor in wanted:
        made(folder, distractor)
        yield None


def grow(
    library: Library,
    fingerprinter: Fingerprinter,
    folder: Path,
    size: int,
    helpers: Shared | None = None,
) -> None:
    """Hear distractors until the library has ``size`` fingerprints, going on where it was."""
    done = {Path(track.path).name for track in library.tracks()}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        wanted = [d for d in distractors(folder) if placed(place, d).name not in done]
        if helpers:
            results = helpers.crew.map(partial(heard, helpers.model, place), wanted)
        else:
            results = _made_only(place, wanted)
        with contextlib.closing(results):
            for number, distractor in enumerate(wanted):
                if len(library) >= size:
                    return
                result, file = next(results), placed(place, distractor)
                with contextlib.suppress(AudioError):  # as one that is silent throughout
                    add_file(library, file, fingerprinter, prepared=result)
                if file.parent == place:
                    file.unlink()
                if number % 100 == 0:
                    print(f"{len(library)} of {size} fingerprints", flush=True)
    if len(library) < size:
        raise SystemExit(f"there are distractors for {len(library)} fingerprints, not for {size}")


def main() -> None:
    """Measure at each size."""
    parser = common.shared_options(__doc__)
    parser.add_argument("--sizes", default="100000,400000,1000000", help="in fingerprints")
    args = parser.parse_args()
    if args.distractors is None:
        parser.error("--distractors is needed")
    config = EvaluationConfig(
        lengths_s=(1.0, 2.0), reverbs=(False, True), queries=args.queries, seed=args.seed
    )
    with workers.crew(args.processes) as crew:
        for name in args.system or ["grafprint"]:
            run(name, config, args, crew)


def run(
    name: str, config: EvaluationConfig, args: argparse.Namespace, crew: WorkerPool | None
) -> None:
    """Measure one system and write its file, which is there from the first size on."""
    asked = replace(common.model(args, name), memory=args.work / "queries")
    fingerprinter, helpers = common.shared(crew, asked)
    label = f"table3-{name}" if args.models else "table3-released"
    heard = [common.place(name, fingerprinter, args.work)]
    tests = audio_files(args.test, [])
    more = [path for path, speed in distractors(args.distractors) if speed == 1]
    reports = []
    for size in map(int, args.sizes.split(",")):
        work = args.work / "grown" / str(size)  # each its own, so that any can be gone on with
        with common.opened(name, fingerprinter, work) as library:
            for source in heard:
                common.take(library, fingerprinter, source, tests, math.inf)
        with common.collection(name, fingerprinter, [args.test], work, helpers) as library:
            for source in heard:
                common.take(library, fingerprinter, source, more, size)
            grow(library, fingerprinter, args.distractors, size, helpers)
            library.finish()
            report = common.measure(
                f"{label}-{size}", library, fingerprinter, config, args, helpers
            )  # fmt: skip
        heard.append(library.path)
        reports.append(report.to_json())
        common.write(label, {"system": name, "network": fingerprinter.facts, "sizes": reports},
                     args.out)  # fmt: skip


if __name__ == "__main__":
    main()
