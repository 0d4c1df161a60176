"""Speed of building a library, where the time goes, and whether memory stays flat.

    python -m benchmarks.building --music FOLDER --minutes 5

With the bundled network, then with the fast one, each in a new process. Indexes the folder's files
into a new library until the time is up: hours of audio per hour, and resident memory (without
mapped files) at each quarter of the files. Then decodes and encodes the same audio separately, with
as many files in parallel, and builds the index of all fingerprints, with the additional peak
memory.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.shared import common
from grafprint import audio
from grafprint.audio import folders
from grafprint.fingerprint import DEFAULT_MODEL, FAST_MODEL, Fingerprinter
from grafprint.library import Library, add_folder, folder
from grafprint.library.index.row_index import coded
from grafprint.threads import side_by_side

QUARTERS = (0.25, 0.5, 0.75, 1.0)
FACTORY = coded(256)  # fewer lists than the default has: the library is small


def build(
    library: Library, fingerprinter: Fingerprinter, music: Path, limit_s: float
) -> tuple[float, list[float]]:
    """Index until the time is up; returns the seconds, and the memory in MB before each file."""
    files = folders.audio_files(music, [])
    began, memory = time.perf_counter(), []
    for _ in add_folder.add_files(library, files, fingerprinter):
        memory.append(common.anonymous_mb())
        if time.perf_counter() - began > limit_s:
            break
    return time.perf_counter() - began, memory


def measure(model: Path, music: Path, limit_s: float, work: Path, factory: str) -> dict[str, Any]:
    """All measurements with one network."""
    fingerprinter = Fingerprinter.load(model)
    with Library.create(work / "library", fingerprinter, factory=factory) as library:
        built_s, memory = build(library, fingerprinter, music, limit_s)
        audio_s = sum(track.duration_s for track in library.tracks())
        paths = [path for t in library.tracks() if (path := library.audio_path(t))]
        began = time.perf_counter()
        recordings = list(side_by_side(audio.load, paths))
        decoded_s = time.perf_counter() - began
        began = time.perf_counter()
        for _ in side_by_side(fingerprinter, recordings):
            pass
        encoded_s = time.perf_counter() - began
        fingerprints = len(library)
        began = time.perf_counter()
        with common.peak_mb() as peak:
            library.finish()
            indexing_mb = peak()
        indexed_s = time.perf_counter() - began
    return {
        "hours": audio_s / 3600,
        "tracks": len(paths),
        "fingerprints": fingerprints,
        "times_real_time": audio_s / built_s,
        "share_decoding": decoded_s / built_s,
        "share_encoding": encoded_s / built_s,
        "fingerprints_indexed_per_s": fingerprints / indexed_s,
        "indexing_mb": indexing_mb,
        "memory_mb": [memory[round(share * (len(memory) - 1))] for share in QUARTERS],
        "bytes_per_hour_of_audio": size_on_disk(work / "library") / (audio_s / 3600),
    }


def size_on_disk(library: Path) -> int:
    """Bytes of a library's files, without the backup of its catalogue."""
    names = [p for p in library.iterdir() if p.name != folder.BACKUP]
    return sum(path.stat().st_size for path in names)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--music", type=Path, required=True, help="folder of music")
    parser.add_argument("--minutes", type=float, default=5.0, help="of indexing")
    args = parser.parse_args()
    found = {}
    for name, model in (("bundled", DEFAULT_MODEL), ("fast", FAST_MODEL)):
        work = Path(tempfile.mkdtemp())
        try:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                limit_s = 60 * args.minutes
                task = pool.submit(measure, model, args.music, limit_s, work, FACTORY)
                found[name] = task.result()
        finally:
            shutil.rmtree(work)
        print(name, found[name], flush=True)
    common.write("building", found)


if __name__ == "__main__":
    main()
