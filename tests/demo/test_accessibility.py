"""Every tab, light and dark: axe finds nothing, texts and controls have contrast, focus is seen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from demo.app import TABS, launch
from demo.sampling import Sampling
from demo.studio import Studio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.paths import ASSETS

MEASURES = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
# Ends of transitions are measured; waiting for each of them would take minutes.
AT_ONCE = "*, ::before, ::after { transition-duration: 0s !important }"
# What axe cannot judge, such as texts in pictures, contrast.js measures.
TEXT, CONTROL = 4.5, 3.0


@pytest.fixture(scope="module")
def changeable(
    studio: Studio, sampling: Sampling, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of an app with all its controls: its libraries may be changed."""
    shelf = tmp_path_factory.mktemp("shelf")
    own = Studio(
        studio.fingerprinter,
        ASSETS / "library",
        examples=EXAMPLES,
        shelf=shelf,
        editable=True,
        tagger=studio.tagger,
        sampling=sampling,
    )
    served = launch(own, prevent_thread_lock=True, quiet=True)
    assert served.local_url
    yield served.local_url
    served.close()


@pytest.fixture(scope="module")
def with_answer(chromium: Browser, changeable: str) -> Iterator[Callable[[str], Page]]:
    """A visitor's page in a theme, with an answer to a clip; loaded once."""
    pages: dict[str, Page] = {}

    def load(theme: str) -> Page:
        page = chromium.new_context(viewport={"width": 1100, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{changeable}?__theme={theme}")
        page.get_by_text("Beside an engine").first.click()
        expect(page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE)
        page.add_style_tag(content=AT_ONCE)
        page.evaluate(AXE_SCRIPT)
        page.evaluate(MEASURES)
        return page

    yield lambda theme: pages.get(theme) or pages.setdefault(theme, load(theme))
    for page in pages.values():
        page.context.close()


# Not parameters of two fixtures: then pytest would change the theme for each tab.
@pytest.fixture(
    scope="module",
    params=[(title, theme) for theme in ("light", "dark") for title, _ in TABS],
    ids="-".join,
)
def tab(request: pytest.FixtureRequest, with_answer: Callable[[str], Page]) -> Page:
    """The page on one of the tabs in one of the themes, with all that can be unfolded."""
    title, theme = request.param
    page = with_answer(theme)
    page.get_by_role("tab", name=title, exact=True).click()
    page.evaluate("measured.settled()")
    folds = page.locator("button.label-wrap:not(.open):visible")
    while folds.count():
        folds.evaluate_all("all => all.forEach(fold => fold.click())")
        page.evaluate("measured.settled()")
    return page


def below(measured: list[tuple[str, float]], least: float) -> list[str]:
    """What has less contrast than it should."""
    return [f"{contrast:.2f} {what}" for what, contrast in measured if contrast < least]


def test_axe_finds_nothing(tab: Page):
    found = tab.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]] == []


def test_texts_and_controls_have_contrast(tab: Page):
    texts = tab.evaluate("measured.texts()")
    assert len(texts) >= len(TABS) and below(texts, TEXT) == []
    assert below(tab.evaluate("measured.controls()"), CONTROL) == []


def test_the_focus_is_seen_wherever_it_goes(tab: Page):
    tab.locator("[role=tab][aria-selected=true]").focus()
    seen = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        if (focus := tab.evaluate("measured.focus()")) is None:
            break
        seen.append(focus)
    assert seen and below(seen, CONTROL) == []
