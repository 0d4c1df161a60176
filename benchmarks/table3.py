"""Table III's question: what does a growing library of other music cost?

    python -m benchmarks.table3 --test TEST --distractors TRAIN --noise NOISE --rooms ROOMS \\
        --sizes 100000,400000,1000000 --system grafprint

Noisy and reverberated queries are searched for in a library that grows: first the test tracks, then
the distractors, then the distractors again at other speeds, which is other music to a fingerprint
(pitch and tempo change by 6 % and more). The same queries are asked at each size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from benchmarks import common
from grafprint import audio
from grafprint.evaluation import EvaluationConfig
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library

# Semitones apart, and never an octave, where a changed copy might resemble its original.
SPEEDS = [Fraction(17, 16), Fraction(16, 17), Fraction(9, 8), Fraction(8, 9), Fraction(6, 5),
          Fraction(5, 6), Fraction(5, 4), Fraction(4, 5)]  # fmt: skip


def distractors(folder: Path) -> Iterator[tuple[Path, Fraction]]:
    """Every file of the folder as it is, then at one speed after the other."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in audio.AUDIO_SUFFIXES)
    for speed in (Fraction(1), *SPEEDS):
        for path in files:
            yield path, speed


def grow(library: Library, fingerprinter: Fingerprinter, folder: Path, size: int) -> None:
    """Add distractors until the library has ``size`` fingerprints, going on where it was."""
    done = {Path(track.path).name for track in library.tracks()}
    with tempfile.TemporaryDirectory() as temporary:
        for number, (path, speed) in enumerate(distractors(folder)):
            if len(library) >= size:
                return
            changed = Path(temporary) / f"{path.stem}@{speed.numerator}-{speed.denominator}.wav"
            if (path.name if speed == 1 else changed.name) in done:
                continue
            if speed == 1:
                library.add(path, fingerprinter)
            else:
                samples = resample_poly(audio.load(path), speed.denominator, speed.numerator)
                pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
                wavfile.write(changed, audio.SAMPLE_RATE, pcm)
                library.add(changed, fingerprinter)
                changed.unlink()
            if number % 100 == 0:
                print(f"{len(library)} of {size} fingerprints", flush=True)
    raise SystemExit(f"there are distractors for {len(library)} fingerprints, not for {size}")


def main() -> None:
    """Measure at each size."""
    parser = common.options(__doc__)
    parser.add_argument("--sizes", default="100000,400000,1000000", help="in fingerprints")
    args = parser.parse_args()
    if args.distractors is None:
        parser.error("--distractors is needed")
    config = EvaluationConfig(
        lengths_s=(1.0, 2.0, 5.0), reverbs=(False, True), queries=args.queries, seed=args.seed
    )
    for name in args.system or ["grafprint"]:
        fingerprinter = common.network(args, name)
        label = f"table3-{name}" if args.models else "table3-released"
        reports = []
        with common.collection(name, fingerprinter, [args.test], args.work / "grown") as library:
            for size in map(int, args.sizes.split(",")):
                grow(library, fingerprinter, args.distractors, size)
                library.finish()
                report = common.measure(f"{label}-{size}", library, fingerprinter, config, args)
                reports.append(report.to_json())
                common.write(label, {"system": name, "network": fingerprinter.facts,
                                     "sizes": reports})  # fmt: skip


if __name__ == "__main__":
    main()
