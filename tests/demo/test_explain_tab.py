"""The tab How it works in Chromium: on a phone its pictures can be read without zooming."""

from playwright.sync_api import Browser, expect

from tests.demo.conftest import PATIENCE

SMALLEST_PX = 9.0


def test_the_pictures_can_be_read_on_a_phone(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    page.get_by_role("tab", name="How it works").click(timeout=PATIENCE)
    expect(page.locator("#explain .gp-card.found")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    texts = page.locator("#explain svg text").evaluate_all(
        "all => all.map(e => { const m = e.getScreenCTM();"
        " return [e.textContent, parseFloat(getComputedStyle(e).fontSize) * Math.hypot(m.a, m.b)];"
        " })"
    )
    assert len(texts) > 50 and [text for text in texts if text[1] < SMALLEST_PX] == []
    widths = page.locator("#explain figure").evaluate_all("all => all.map(e => e.clientWidth)")
    assert len(widths) == 10 and min(widths) > 300
    context.close()
