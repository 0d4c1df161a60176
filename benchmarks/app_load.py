"""Load test of the app: python -m benchmarks.app_load [--clients 50] [--minutes 5]

Starts the app on the bundled library. Every client has a different clip, each of a different
length, and identifies and degrades it in turn, without pause. Counts failures and answers to other
clients' clips; prints waiting times and the server's memory by the minute; writes
benchmarks/results/app_load.json.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import wavfile

from benchmarks.shared import browser_session
from benchmarks.shared.app_client import Caller, file_of
from benchmarks.shared.common import ROOT, markdown, resident_mb, write
from grafprint import audio
from grafprint.library import Library

SHORTEST_S, STEP_S = 3.0, 0.1  # of the clips
MEMORY_EVERY_S = 5.0


@dataclass
class Visitor:
    """A client: its clip, the time each answer took, failures, and answers to another clip."""

    path: Path
    title: str
    duration_s: float
    identified_s: list[float] = field(default_factory=list)
    degraded_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def run(self, address: str, until: float) -> None:
        """Identify and degrade in turn."""
        caller = Caller(address)
        try:
            (uploaded,) = caller.upload(self.path.name, self.path.read_bytes()).json()
        except Exception as error:  # every kind of failure counts
            self.failures.append(repr(error))
            return
        while time.monotonic() < until:
            self._once(caller, "identify", uploaded, self._is_mine, self.identified_s)
            self._once(caller, "degrade", uploaded, self._is_as_long, self.degraded_s)

    def _once(
        self, caller: Caller, endpoint: str, uploaded: str, mine: Callable[[Any], bool],
        seconds: list[float],
    ) -> None:  # fmt: skip
        began = time.monotonic()
        try:
            event, data = caller.call(endpoint, file_of(uploaded))
            if event != "complete":
                self.failures.append(f"{endpoint}: {data}")
            elif not mine(data[0]):
                self.others.append(f"{endpoint}: {data}")
        except Exception as error:
            self.failures.append(f"{endpoint}: {error!r}")
        seconds.append(time.monotonic() - began)

    def _is_mine(self, answer: dict[str, Any]) -> bool:
        best = answer["matches"][0]
        # Music repeats itself: the title is the track's, the length the clip's own.
        return best["title"] == self.title and answer["query_duration_s"] > self.duration_s - 0.11

    def _is_as_long(self, sound: dict[str, Any]) -> bool:
        samples = audio.load(sound["path"])
        return abs(len(samples) / audio.SAMPLE_RATE - self.duration_s) < STEP_S / 2


def visitors(count: int, folder: Path) -> list[Visitor]:
    """Clients, each with a clip cut from the bundled music and written to ``folder``."""
    rng = np.random.default_rng(0)
    found = []
    with Library.open(ROOT / "assets" / "library") as library:
        tracks = [t for t in library.tracks() if t.duration_s > 60]
        for number in range(count):
            track = tracks[number % len(tracks)]
            path = library.audio_path(track)
            assert path is not None
            duration_s = SHORTEST_S + STEP_S * number
            start_s = float(rng.uniform(5, track.duration_s - duration_s - 5))
            clip = audio.load(path, start_s=start_s, duration_s=duration_s)
            place = folder / f"{number}.wav"
            wavfile.write(place, audio.SAMPLE_RATE, np.round(clip * 30_000).astype(np.int16))
            found.append(Visitor(place, track.title, duration_s))
    return found


def load(clients: list[Visitor], minutes: float, served: browser_session.Served) -> list[float]:
    """Run all clients at once; returns the server's memory in MB, every few seconds."""
    until = time.monotonic() + 60 * minutes
    threads = [
        threading.Thread(target=c.run, args=(served.address, until), daemon=True) for c in clients
    ]
    for thread in threads:
        thread.start()
    memory = []
    while any(thread.is_alive() for thread in threads):
        memory.append(resident_mb(served.pid))
        time.sleep(MEMORY_EVERY_S)
    return memory


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clients = visitors(args.clients, Path(folder))
        with browser_session.running() as served:
            memory = load(clients, args.minutes, served)
    waits = {
        "identify": [s for c in clients for s in c.identified_s],
        "degrade": [s for c in clients for s in c.degraded_s],
    }
    rows = [
        [name, str(len(seconds)), f"{statistics.median(seconds):.1f}",
         f"{np.quantile(seconds, 0.95):.1f}", f"{max(seconds):.1f}"]
        for name, seconds in waits.items()
    ]  # fmt: skip
    print(markdown(["", "answers", "median s", "95 % below", "longest"], rows))
    failures = [f for c in clients for f in c.failures]
    others = [o for c in clients for o in c.others]
    print(f"{len(failures)} failed, {len(others)} were not the client's own")
    print(*(failures + others)[:5], sep="\n")
    minutes = [max(memory[i : i + 12]) for i in range(0, len(memory), 12)]
    print("memory by the minute, MB:", *(f"{mb:.0f}" for mb in minutes))
    write("app_load", {
        "clients": args.clients,
        "minutes": args.minutes,
        "answers": {name: len(seconds) for name, seconds in waits.items()},
        "median_s": {name: statistics.median(seconds) for name, seconds in waits.items()},
        "p95_s": {name: float(np.quantile(seconds, 0.95)) for name, seconds in waits.items()},
        "failed": len(failures),
        "not_their_own": len(others),
        "memory_mb_by_minute": minutes,
    })  # fmt: skip


if __name__ == "__main__":
    main()
