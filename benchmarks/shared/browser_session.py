"""A visitor of the app in Chromium, to measure waiting times; see benchmarks/app_speed.py."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from playwright.sync_api import Browser, Page, expect

from benchmarks.shared.common import ROOT

POINTS = 50_000  # on the large map
PATIENCE_MS = 60_000


class Served(NamedTuple):
    """The app in another process: its address, start (performance counter) and process id."""

    address: str
    began: float
    pid: int


@contextmanager
def running(*options: str) -> Iterator[Served]:
    """Run the app on a free port until the end of the block."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("the app did not start") from None
                time.sleep(0.02)
        yield Served(f"http://127.0.0.1:{port}/", began, process.pid)
    finally:
        process.terminate()
        process.wait()


def opened(browser: Browser, address: str) -> Page:
    """A new visitor's page, ready for use."""
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto(address)
    expect(page.locator("#answer .gp-card")).to_be_visible(timeout=PATIENCE_MS)
    return page


def start_up(browser: Browser) -> float:
    """Seconds from the command to a page with its first card."""
    with running() as served:
        page = opened(browser, served.address)
        seconds = time.perf_counter() - served.began
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
    """Seconds from a move of the SNR slider, end to end, to the new verdict on 5 s of music."""
    time.sleep(1)  # let earlier changes finish
    before = page.locator("#verdict .gp-card").inner_text()
    slider = page.locator("#snr input[type=range]")
    # From end to end, so that the verdict certainly changes.
    key = "Home" if float(slider.input_value()) > 0 else "End"
    began = time.perf_counter()
    slider.press(key)
    page.wait_for_function(
        "before => document.querySelector('#verdict .gp-card').innerText !== before",
        arg=before,
        timeout=PATIENCE_MS,
    )
    return time.perf_counter() - began


def clicked(page: Page) -> float:
    """Seconds to draw the edges of a clicked node."""
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


def mapped(page: Page) -> float:
    """Seconds from a click on the tab Map to all its points."""
    page.get_by_role("tab", name="Identify").click()
    began = time.perf_counter()
    page.get_by_role("tab", name="Map").click()
    expect(page.locator(".gp-map-points")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_selector(f".gp-map[data-points='{POINTS}']", timeout=PATIENCE_MS)
    return time.perf_counter() - began


def moved(page: Page) -> float:
    """Seconds from a key that pans the map of 50,000 points to the frame that shows it."""
    ms = page.evaluate(
        """() => new Promise((done) => {
          const canvas = document.querySelector('.gp-map-over');
          const began = performance.now();
          canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));
          requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
        })"""
    )
    return float(ms) / 1000


def hovered(page: Page) -> float:
    """Seconds to label the point under the pointer on the map of 50,000 points."""
    ms = page.evaluate(
        """() => {
          const canvas = document.querySelector('.gp-map-over');
          const box = canvas.getBoundingClientRect();
          const began = performance.now();
          canvas.dispatchEvent(new PointerEvent('pointermove', { pointerType: 'mouse',
            clientX: box.left + Math.random() * box.width,
            clientY: box.top + Math.random() * box.height, bubbles: true }));
          return performance.now() - began;
        }"""
    )
    return float(ms) / 1000
