"""Take docs/figures/app*.png: screenshots of the app with the bundled library, in Chromium.

    python -m docs.make_screenshots

Run it again when the page changes, and check the pictures.
"""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from demo.app import launch
from demo.studio import Studio

ROOT = Path(__file__).parent.parent
ASSETS, FIGURES = ROOT / "assets", ROOT / "docs" / "figures"
PATIENCE_MS = 120_000
COLOURS = 128  # quarters the size of a picture without visible loss


def take(page: Page, name: str, height: int) -> None:
    """Save the top ``height`` pixels of the page."""
    time.sleep(2)  # for waveforms and canvases to be drawn
    working = page.get_by_text("processing |").filter(visible=True)
    expect(working).to_have_count(0, timeout=PATIENCE_MS)
    page.evaluate("window.scrollTo(0, 0)")
    shot = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": 1100, "height": height})
    with Image.open(io.BytesIO(shot)) as image:
        image.convert("RGB").quantize(COLOURS).save(FIGURES / f"{name}.png", optimize=True)


def open_tab(page: Page, title: str, wait_for: str) -> None:
    """Open a tab and wait for an element on it."""
    page.get_by_role("tab", name=title, exact=True).click()
    expect(page.locator(wait_for).first).to_be_visible(timeout=PATIENCE_MS)


def main() -> None:
    """Use the app like a new visitor and take pictures."""
    studio = Studio.load(
        ASSETS / "library", ASSETS / "grafprint.safetensors", examples=ASSETS / "examples"
    )
    served = launch(studio, prevent_thread_lock=True, quiet=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 1000})
        page.goto(f"{served.local_url}?__theme=light")
        page.get_by_text("In a busy café").first.click(timeout=PATIENCE_MS)
        expect(page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE_MS)
        expect(page.locator("#evidence svg")).to_be_visible(timeout=PATIENCE_MS)
        take(page, "app", 1180)
        open_tab(page, "Degrade", "#verdict .gp-card")
        page.get_by_role("button", name="Find the breaking point").click()
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
        expect(page.locator("#stop-breaking")).to_be_hidden(timeout=PATIENCE_MS)
        take(page, "app-degrade", 1830)
        open_tab(page, "Graph", ".gp-graph canvas")
        block = page.locator(".gp-graph [data-part=block]")
        for _ in range(2):
            block.press("ArrowRight")
        page.locator(".gp-graph").get_by_label("all", exact=True).check()
        take(page, "app-graph", 1120)
        open_tab(page, "Map", ".gp-map[data-points]")
        take(page, "app-map", 1100)
        browser.close()
    served.close()


if __name__ == "__main__":
    main()
