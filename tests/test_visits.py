"""Two visitors at once, each in a browser of their own: neither sees the other's clip."""

from playwright.sync_api import Browser, Page, expect

from tests.conftest import EXAMPLES, PATIENCE
from tests.test_app import answer, upload


def expect_explained(page: Page, name: str) -> None:
    """That the tab How it works shows the clip of this name."""
    page.get_by_role("tab", name="How it works").click()
    shown = page.locator("#explain .gp-small").first
    expect(shown).to_have_text(name, timeout=PATIENCE)


def test_two_visitors_do_not_see_each_others_clips(chromium: Browser, address: str):
    contexts = [chromium.new_context() for _ in range(2)]
    mine, yours = (context.new_page() for context in contexts)
    for page in (mine, yours):
        page.goto(address)
        expect(page.locator("#answer")).to_contain_text("What is playing?", timeout=PATIENCE)
    upload(mine, EXAMPLES / "engine.opus")
    assert "Randomness Decides" in answer(mine, "found")
    expect(yours.locator("#answer")).to_contain_text("What is playing?")
    expect_explained(yours, "cafe.opus")  # the example that is shown to who has no clip
    yours.get_by_role("tab", name="Identify").click()
    upload(yours, EXAMPLES / "hall.opus")
    assert "Hypatia" in answer(yours, "found")
    expect_explained(mine, "engine.opus")
    expect_explained(yours, "hall.opus")
    for context in contexts:
        context.close()
