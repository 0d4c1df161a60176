"""How fast this machine fingerprints and identifies: python -m benchmarks.speed

Prints medians over 20 runs and writes benchmarks/results/speed.json. Absolute times depend on the
machine; what one run says of another part of the same run is more reliable.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from grafprint import audio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.matching import identify

ROOT = Path(__file__).parent.parent


def median_s(work: Callable[[], object], runs: int = 20) -> float:
    """Median seconds of ``work``, after one run to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and write."""
    fingerprinter = Fingerprinter.load()
    with Library.open(ROOT / "assets" / "library", model_id=fingerprinter.model_id) as library:
        path = library.audio_path(library.tracks()[0])
        assert path is not None
        music = audio.load(path, duration_s=30)
        query = music[: 5 * audio.SAMPLE_RATE]
        prints = fingerprinter(query)
        inputs = torch.rand(64, 3, 64, 32)
        results: dict[str, float | str] = {
            "decode_times_real_time": 30 / median_s(lambda: audio.load(path, duration_s=30)),
            "fingerprint_times_real_time": 30 / median_s(lambda: fingerprinter(music), 5),
            "encoder_ms_per_segment": 1000 * median_s(lambda: fingerprinter.encode(inputs)) / 64,
            "fingerprint_5s_query_s": median_s(lambda: fingerprinter(query)),
            "search_and_align_5s_query_s": median_s(lambda: identify(library, prints)),
            "library_fingerprints": len(library),
        }
    results |= {
        "precision": fingerprinter.precision,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {platform.python_implementation()} "
        f"{platform.python_version()}, torch {torch.__version__}, "
        f"{torch.backends.cpu.get_cpu_capability()}",
    }
    for name, value in results.items():
        print(f"{name:32} {value:.4g}" if isinstance(value, float) else f"{name:32} {value}")
    (ROOT / "benchmarks" / "results").mkdir(exist_ok=True)
    (ROOT / "benchmarks" / "results" / "speed.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
