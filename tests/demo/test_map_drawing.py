"""A library's map is drawn when it is asked for: progress, cancelling, and where it is kept."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.app import launch
from demo.map.maps import Maps
from demo.studio import Studio
from grafprint.explore import library_map
from grafprint.explore.library_map import MAP
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from tests.demo.conftest import PATIENCE
from tests.libraries import fill, unit, walk
from tests.paths import ASSETS


@pytest.fixture
def unmapped(fingerprinter: Fingerprinter, tmp_path: Path) -> Studio:
    """A studio with a small library of given vectors, without a map."""
    rng = np.random.default_rng(5)
    with Library.create(tmp_path / "small", fingerprinter) as library:
        fill(library, [unit(walk(rng, 80) + walk(rng, 1)) for _ in range(6)])
    return Studio(fingerprinter, tmp_path / "small")


@pytest.fixture
def visitor(chromium: Browser, unmapped: Studio) -> Iterator[Page]:
    """A visitor of that studio."""
    served = launch(unmapped, prevent_thread_lock=True, quiet=True)
    context = chromium.new_context()
    page = context.new_page()
    assert served.local_url
    page.goto(served.local_url)
    yield page
    context.close()
    served.close()


def test_a_missing_map_is_drawn_with_one_click(visitor: Page, unmapped: Studio):
    visitor.get_by_role("tab", name="Map").click()
    visitor.get_by_role("button", name="Draw the map").click(timeout=PATIENCE)
    visitor.wait_for_selector(".gp-map[data-points='480']", timeout=PATIENCE)
    expect(visitor.locator("#map-paths")).to_contain_text("Choose a clip")
    assert (unmapped.path(unmapped.home_name) / MAP).is_file()


def large(fingerprinter: Fingerprinter, folder: Path) -> Studio:
    """A studio with the bundled library without its map, which takes seconds to draw."""
    shutil.copytree(ASSETS / "library", folder / "large", ignore=shutil.ignore_patterns(MAP))
    return Studio(fingerprinter, folder / "large")


def wait_for_drawing() -> None:
    """Wait until no map is being drawn."""
    for thread in threading.enumerate():
        if thread.name == "map":
            thread.join(PATIENCE / 1000)
            assert not thread.is_alive()


def test_drawing_can_be_cancelled(chromium: Browser, fingerprinter: Fingerprinter, tmp_path: Path):
    served = launch(large(fingerprinter, tmp_path), prevent_thread_lock=True, quiet=True)
    context = chromium.new_context()
    page = context.new_page()
    assert served.local_url
    page.goto(served.local_url)
    page.get_by_role("tab", name="Map").click()
    expect(page.get_by_role("button", name="Draw the map")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#map-cancel")).to_be_hidden()  # nothing is being drawn yet
    page.get_by_role("button", name="Draw the map").click()
    expect(page.locator("#map-work progress")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#map-draw")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#map-work progress")).to_have_count(0, timeout=PATIENCE)
    wait_for_drawing()
    assert not (tmp_path / "large" / MAP).exists()
    expect(page.get_by_role("button", name="Draw the map")).to_be_visible()
    expect(page.locator("#map-cancel")).to_be_hidden()
    context.close()
    served.close()


def test_a_drawing_continues_while_a_visitor_waits(fingerprinter: Fingerprinter, tmp_path: Path):
    maps = Maps(large(fingerprinter, tmp_path))
    one, other = maps.draw("large"), maps.draw("large")
    next(one), next(other)
    assert sum(thread.name == "map" for thread in threading.enumerate()) == 1
    one.close()
    assert next(other)
    other.close()
    wait_for_drawing()
    assert maps.find("large") is None


def test_a_map_that_cannot_be_stored_stays_in_memory(unmapped: Studio):
    (unmapped.path(unmapped.home_name) / MAP / "in the way").mkdir(parents=True)
    maps = Maps(unmapped)
    list(maps.draw("small"))
    chart = maps.find("small")
    assert chart is not None and len(chart.drawn) == 480
    unmapped.reload("small")
    again = maps.find("small")
    assert again is not None and again.drawn is chart.drawn
    assert library_map.load(unmapped.identifier("small").library) is None
