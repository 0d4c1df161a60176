"""Table III of the paper: hit rates as the library grows.

    python -m benchmarks.table3 --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS \\
        --sizes 100000,400000,1000000 --system grafprint

Queries with noise and reverb are looked up in a growing library: first the test tracks, then the
distractors, then the distractors at other speeds, whose fingerprints differ (pitch and tempo change
by 6 % and more). The queries are the same at each size. Fingerprints are copied from the library of
benchmarks.table2 in the same --work and from that of the previous size, if they are there. Of the
released network, the one without --models, landmarks decide beside the fingerprints, as in use.

Several machines with one --work folder share the queries: first one makes the libraries
(``--libraries``), then each asks a part (``--part 3/16``, as in an array of Slurm), and at last one
runs the command as above, which joins the parts, asks what is missing and writes the results.
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
from benchmarks.shared.systems import SYSTEMS
from benchmarks.shared.workers import Model, Shared, WorkerPool
from grafprint import audio
from grafprint.audio.folders import audio_files
from grafprint.errors import AudioError
from grafprint.evaluation import EvaluationConfig
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.add_file import FileFingerprints, add_file
from grafprint.library.part import Part

# A semitone or more apart, but never an octave, where a copy might resemble its original.
SPEEDS = [Fraction(17, 16), Fraction(16, 17), Fraction(9, 8), Fraction(8, 9), Fraction(6, 5),
          Fraction(5, 6), Fraction(5, 4), Fraction(4, 5)]  # fmt: skip
Distractor = tuple[Path, Fraction]  # a file and the speed it is played at


def distractors(folder: Path) -> Iterator[Distractor]:
    """Every file of the folder at its own speed, then all of them at one speed after the other."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in audio.AUDIO_SUFFIXES)
    for speed in (Fraction(1), *SPEEDS):
        for path in files:
            yield path, speed


def make_distractor(folder: Path, distractor: Distractor) -> Path:
    """A distractor's file: the original, or a copy at its speed, written to ``folder``."""
    path, speed = distractor
    file = distractor_path(folder, distractor)
    if speed != 1:
        samples = resample_poly(audio.load(path), speed.denominator, speed.numerator)
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
        wavfile.write(file, audio.SAMPLE_RATE, pcm)
    return file


def distractor_path(folder: Path, distractor: Distractor) -> Path:
    """Where :func:`make_distractor` writes it."""
    path, speed = distractor
    if speed == 1:
        return path
    return folder / f"{path.stem}@{speed.numerator}-{speed.denominator}.wav"


def fingerprint(model: Model, folder: Path, distractor: Distractor) -> FileFingerprints | None:
    """Make a distractor and fingerprint it, in a process of the pool."""
    return workers.fingerprint(model, make_distractor(folder, distractor))


def _make_only(folder: Path, wanted: list[Distractor]) -> Generator[None, None, None]:
    for distractor in wanted:
        make_distractor(folder, distractor)
        yield None


def grow(
    library: Library,
    fingerprinter: Fingerprinter,
    folder: Path,
    size: int,
    helpers: Shared | None = None,
) -> None:
    """Add distractors until the library has ``size`` fingerprints; resumes where it stopped."""
    done = {Path(track.path).name for track in library.tracks()}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        wanted = [d for d in distractors(folder) if distractor_path(place, d).name not in done]
        if helpers:
            results = helpers.pool.map(partial(fingerprint, helpers.model, place), wanted)
        else:
            results = _make_only(place, wanted)
        with contextlib.closing(results):
            for number, distractor in enumerate(wanted):
                if len(library) >= size:
                    return
                result, file = next(results), distractor_path(place, distractor)
                with contextlib.suppress(AudioError):  # for instance, it is silent throughout
                    add_file(library, file, fingerprinter, prepared=result)
                if file.parent == place:
                    file.unlink()
                if number % 100 == 0:
                    print(f"{len(library)} of {size} fingerprints", flush=True)
    if len(library) < size:
        raise SystemExit(f"the distractors give only {len(library)} fingerprints, not {size}")


def main() -> None:
    """Measure at each size."""
    parser = common.shared_options(__doc__)
    parser.add_argument("--sizes", default="100000,400000,1000000", help="numbers of fingerprints")
    parser.add_argument("--part", type=Part.parse, help="ask part I of N of the queries, as 3/16")
    parser.add_argument("--libraries", action="store_true", help="make the libraries, and stop")
    args = parser.parse_args()
    if args.part and args.libraries:
        parser.error("--part needs the libraries already: give --libraries alone, before")
    if args.distractors is None:
        parser.error("--distractors is needed")
    config = EvaluationConfig(
        lengths_s=(1.0, 2.0), reverbs=(False, True), queries=args.queries, seed=args.seed,
        landmarks=args.models is None,
    )  # fmt: skip
    with workers.worker_pool(args.processes) as pool:
        for name in args.system or ["grafprint"]:
            run(name, config, args, pool)


def run(
    name: str, config: EvaluationConfig, args: argparse.Namespace, pool: WorkerPool | None
) -> None:
    """Measure one system; its file is written after each size."""
    asked = replace(common.model(args, name), memory=args.work / "queries")
    fingerprinter, helpers = common.shared(pool, asked)
    label = f"table3-{name}" if args.models else "table3-released"
    sources = [common.place(name, fingerprinter, args.work)]
    tests = audio_files(args.test, [])
    more = [path for path, speed in distractors(args.distractors) if speed == 1]
    reports = []
    for size in map(int, args.sizes.split(",")):
        work = args.work / "grown" / str(size)  # one for each size, so that any can be resumed
        if args.part:
            with made(name, fingerprinter, work, size) as library:
                common.measure(
                    f"{label}-{size}", library, fingerprinter, config, args, helpers, args.part
                )
            continue
        with common.opened(name, fingerprinter, work) as library:
            for source in sources:
                common.take(library, fingerprinter, source, tests, math.inf)
        with common.collection(name, fingerprinter, [args.test], work, helpers) as library:
            for source in sources:
                common.take(library, fingerprinter, source, more, size)
            grow(library, fingerprinter, args.distractors, size, helpers)
            library.finish()
            if not args.libraries:
                report = common.measure(
                    f"{label}-{size}", library, fingerprinter, config, args, helpers
                )
                reports.append(report.to_json())
        sources.append(library.path)
        if reports:
            facts = {"system": name, "network": fingerprinter.facts, "sizes": reports}
            common.write(label, facts, args.out)


def made(name: str, fingerprinter: Fingerprinter, work: Path, size: int) -> Library:
    """The library of a size, as it was made before, for reading."""
    path = common.place(name, fingerprinter, work)
    nprobe = SYSTEMS[name].nprobe
    if path.exists():
        library = Library.open(path, model_id=fingerprinter.model_id, nprobe=nprobe)
        if len(library) >= size:
            return library
        library.close()
    raise SystemExit(f"{path} is not complete: make the libraries with --libraries first")


if __name__ == "__main__":
    main()
