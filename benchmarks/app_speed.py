"""Response times of the app: python -m benchmarks.app_speed [--runs N]

Starts the app on the bundled library and uses it in Chromium as a visitor would: from start to
first page, from the end of a recording to the answer, from a slider to the verdict, from a node to
its edges, and a map of 50,000 points. Prints medians and, from the same run, the parts of an answer
on the server; writes benchmarks/results/app_speed.json.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright
from scipy.io import wavfile

from benchmarks.shared import browser_session
from benchmarks.shared.common import ROOT, markdown, write
from demo import clips
from demo.identifier import Identifier
from demo.identify import compare
from demo.identify.page import page_for
from demo.studio import Studio
from grafprint import audio, matching
from grafprint.explore import library_map
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.libraries import fill, walk

TRACKS = 100  # of the library with the large map
ASSETS = ROOT / "assets"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream",
         "--use-fake-device-for-media-stream"]  # fmt: skip


def large_library(folder: Path) -> float:
    """Make a library of 50,000 fingerprints with its map; returns the seconds the map took."""
    rng = np.random.default_rng(0)
    with Library.create(folder, Fingerprinter.load()) as library:
        fill(library, (walk(rng, browser_session.POINTS // TRACKS) for _ in range(TRACKS)))
        began = time.perf_counter()
        library_map.save(library, library_map.make(library, lambda share, stage: None))
        return time.perf_counter() - began


def median_s(work: Callable[[], object], runs: int = 20) -> float:
    """Median seconds of ``work``, after one run to warm up."""
    work()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def server_parts(identifier: Identifier, path: Path) -> dict[str, float]:
    """Median seconds of the parts of an answer, without the browser."""
    clip = clips.from_file(str(path))
    answer = identifier.answer(clip)
    best = answer.best
    assert best is not None
    used = compare.used(clip, answer)
    prints = identifier.fingerprinter(clip.samples)
    return {
        "decode": median_s(lambda: clips.from_file(str(path))),
        "fingerprint": median_s(lambda: identifier.fingerprinter(clip.samples)),
        "search and align": median_s(lambda: matching.identify(identifier.library, prints)),
        "picture": median_s(
            lambda: compare.picture(used, used, answer, best, identifier.fingerprinter)
        ),
        "sounds for comparing": median_s(lambda: compare.sounds(used, used)),
        "whole answer": median_s(lambda: page_for(identifier, clip)),
    }


def repeated(work: Callable[[Page], float], page: Page, runs: int) -> float:
    """The median of ``runs`` measurements, after one to warm up."""
    work(page)
    return statistics.median(work(page) for _ in range(runs))


def measure(browser: Browser, runs: int) -> dict[str, float]:
    """All measurements on the bundled library."""
    times = {}
    with browser_session.running() as served:
        page = browser_session.opened(browser, served.address)
        times["stop of a recording of 4 s to answer"] = repeated(
            browser_session.recorded, page, runs
        )
        page.get_by_role("tab", name="Degrade").click()
        page.get_by_label("A track of the library").click()
        expect(page.locator("#verdict .gp-card")).to_be_visible(timeout=browser_session.PATIENCE_MS)
        time.sleep(2)
        times["slider to verdict, 5 s clip"] = repeated(browser_session.slid, page, runs)
        page.get_by_role("tab", name="Graph").click()
        page.wait_for_function(
            "() => document.querySelector('.gp-graph canvas')?.toDataURL().length > 20000",
            timeout=browser_session.PATIENCE_MS,
        )
        times["node click to redraw, 512 nodes"] = repeated(browser_session.clicked, page, runs)
        page.close()
    return times


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("this needs Chromium: apt install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        microphone = Path(folder) / "microphone.wav"
        samples = audio.load(ASSETS / "examples" / "cafe.opus")
        wavfile.write(microphone, audio.SAMPLE_RATE, np.round(samples * 30_000).astype(np.int16))
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={microphone}"],
        )
        start = statistics.median(browser_session.start_up(browser) for _ in range(runs))
        times = {"start to first page": start, **measure(browser, runs)}
        times["drawing a map of 50,000 points (once)"] = large_library(Path(folder) / "large")
        with browser_session.running("--library", str(Path(folder) / "large")) as served:
            page = browser_session.opened(browser, served.address)
            times["tab to map of 50,000 points"] = repeated(browser_session.mapped, page, runs)
            times["pan of 50,000 points to frame"] = repeated(browser_session.moved, page, runs)
            times["hover over 50,000 points"] = repeated(browser_session.hovered, page, runs)
        browser.close()
    studio = Studio.load(ASSETS / "library", ASSETS / "grafprint.safetensors")
    parts = server_parts(studio.identifier(), ASSETS / "examples" / "cafe.opus")
    for title, found in (("what a visitor waits for", times), ("an answer to 7 s", parts)):
        rows = [[name, f"{seconds:.3f}"] for name, seconds in found.items()]
        print(markdown([title, "median s"], rows), end="\n\n")
    write("app_speed", {"runs": runs, "seconds": times, "answer_parts_s": parts})


if __name__ == "__main__":
    main()
