"""How long the page takes: python -m benchmarks.app_speed [--runs N]

Starts the app on the bundled library and uses it in Chromium, as a visitor would: start to first
page, stop of a recording to the answer, a slider to the verdict, a node to its edges, and a map of
50,000 points. Prints medians and, from the same run, what the server's part of an answer is made
of; writes benchmarks/results/app_speed.json.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from benchmarks.common import ROOT
from benchmarks.speed import median_s
from demo import clips, compare
from demo.identifier import Identifier
from grafprint import matching

ASSETS = ROOT / "assets"
PATIENCE_MS = 60_000
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream",
         "--use-fake-device-for-media-stream"]  # fmt: skip


@contextmanager
def running(*options: str) -> Iterator[tuple[str, float]]:
    """The app in a process of its own: its address, and when it was started."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), *options], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("the app did not start") from None
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/", began
    finally:
        process.terminate()
        process.wait()


def opened(browser: Browser, address: str) -> Page:
    """A new visitor's page, ready to be used."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(address)
    expect(page.locator("#answer .gp-card")).to_be_visible(timeout=PATIENCE_MS)
    return page


def start_up(browser: Browser) -> float:
    """Seconds from the command to a page with its first card."""
    with running() as (address, began):
        page = opened(browser, address)
        seconds = time.perf_counter() - began
        page.close()
    return seconds


def recorded(page: Page) -> float:
    """Seconds from stopping a recording of 4 s to the answer."""
    clip = page.locator("#clip")
    clear = clip.get_by_role("button", name="Clear")
    if clear.count():
        clear.first.click()
    expect(page.locator("#answer .gp-card.ready")).to_be_visible(timeout=PATIENCE_MS)
    clip.get_by_role("button", name="Record", exact=True).click()
    time.sleep(4)
    began = time.perf_counter()
    clip.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE_MS)
    return time.perf_counter() - began


def slid(page: Page) -> float:
    """Seconds from one step of the SNR slider to the new verdict, for 5 s of music."""
    before = page.locator("#verdict").inner_html()
    slider = page.locator("#snr input[type=range]")
    began = time.perf_counter()
    slider.press("ArrowLeft")
    page.wait_for_function(
        "before => document.querySelector('#verdict').innerHTML.trim() !== before.trim()",
        arg=before, timeout=PATIENCE_MS,
    )  # fmt: skip
    return time.perf_counter() - began


def clicked(page: Page) -> float:
    """Seconds that the browser needs to draw the edges of a node that is clicked."""
    ms = page.evaluate(
        """() => {
          const canvas = document.querySelector('.gp-graph canvas');
          const box = canvas.getBoundingClientRect();
          const at = (share) => 60 + share * (box.width - 80);
          const place = { clientX: box.left + at(Math.random()),
            clientY: box.top + 10 + Math.random() * (box.height - 50), bubbles: true };
          const began = performance.now();
          canvas.dispatchEvent(new MouseEvent('click', place));
          canvas.getContext('2d').getImageData(0, 0, 1, 1);
          return performance.now() - began;
        }"""
    )
    return float(ms) / 1000


def server_parts(identifier: Identifier, path: Path) -> dict[str, float]:
    """Median seconds of what an answer on the page is made of, without the browser."""
    clip = clips.from_file(str(path))
    answer = identifier.answer(clip)
    best = answer.best
    assert best is not None
    heard = compare.used(clip, answer)
    prints = identifier.fingerprinter(clip.samples)
    return {
        "decode": median_s(lambda: clips.from_file(str(path))),
        "fingerprint": median_s(lambda: identifier.fingerprinter(clip.samples)),
        "search and align": median_s(lambda: matching.identify(identifier.library, prints)),
        "picture": median_s(
            lambda: compare.picture(heard, heard, answer, best, identifier.fingerprinter)
        ),
        "sounds for comparing": median_s(lambda: compare.sounds(heard, heard)),
        "whole answer": median_s(lambda: identifier.page(clip)),
    }
