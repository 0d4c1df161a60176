"""Start-up time and memory: python -m benchmarks.startup

Each command in a new process, from start to end (the app: to the first connection), with files in
the system's cache: median seconds, and peak resident memory.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks.shared import browser_session, common
from benchmarks.shared.common import ROOT, markdown

CLIP = ROOT / "assets" / "examples" / "cafe.opus"
GRAFPRINT = ("-m", "grafprint")
# From a small process: a child's peak memory includes that of the process that started it.
RUN = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - began
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
COMMANDS: dict[str, tuple[str, ...]] = {
    "Python itself": ("-c", "pass"),
    "`grafprint --help`": (*GRAFPRINT, "--help"),
    "`grafprint library list`": (*GRAFPRINT, "library", "list"),
    "`import grafprint.library`": ("-c", "import grafprint.library"),
    "`import torch`": ("-c", "import torch"),
    "loading the network": (
        "-c",
        "from grafprint.fingerprint import Fingerprinter; Fingerprinter.load()",
    ),
    "`grafprint identify` (7 s)": (*GRAFPRINT, "identify", str(CLIP)),
}


def once(command: tuple[str, ...]) -> tuple[float, float]:
    """Seconds and peak memory in MB of one run. Raises SystemExit if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, sys.executable, *command], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{command} failed: {done.stderr}")
    seconds, most_kb = map(float, done.stdout.split())
    return seconds, most_kb / 1e3


def app() -> tuple[float, float]:
    """Seconds to the first connection, and idle memory in MB."""
    with browser_session.running() as served:
        seconds = time.perf_counter() - served.began
        time.sleep(3)  # for what loads in the background
        return seconds, common.resident_mb(served.pid)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rows: dict[str, Any] = {}
    for name, command in COMMANDS.items():
        once(command)  # files are then in the system's cache
        rows[name] = [once(command) for _ in range(runs)]
    rows["the app, idle"] = [app() for _ in range(runs)]
    medians = {
        name: dict(
            zip(("seconds", "mb"), map(statistics.median, zip(*found, strict=True)), strict=True)
        )
        for name, found in rows.items()
    }
    table = [[name, f"{m['seconds']:.2f}", f"{m['mb']:.0f}"] for name, m in medians.items()]
    print(markdown(["", "seconds", "MB"], table))
    common.write("startup", {"runs": runs, "rows": medians})


if __name__ == "__main__":
    main()
