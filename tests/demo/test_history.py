"""History, links and the phone's view of the tab Identify, in Chromium."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.app import launch
from demo.library import shelf
from demo.studio import Studio
from grafprint import audio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.demo.test_app import answer, upload


@pytest.fixture(scope="module")
def phone(chromium: Browser, address: str) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def write_video(path: Path, samples: np.ndarray) -> Path:
    """A film as a phone makes it: pictures and sound."""
    with av.open(path, "w") as container:
        film = container.add_stream("mpeg4", rate=5, width=64, height=64, pix_fmt="yuv420p")
        sound = container.add_stream("aac", rate=audio.SAMPLE_RATE, layout="mono")
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            container.mux(film.encode(picture))
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = audio.SAMPLE_RATE
        container.mux(sound.encode(frame))
        for stream in (film, sound):
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_film_from_a_phone_is_identified(phone: Page, tmp_path: Path, ending: str):
    film = write_video(tmp_path / f"film.{ending}", audio.load(EXAMPLES / "engine.opus"))
    clear = phone.locator("#clip").get_by_role("button", name="Clear")
    if clear.count():
        clear.first.click()
    upload(phone, film)
    assert "Randomness Decides" in answer(phone, "found")
    # The page has scrolled to the answer.
    expect(phone.locator("#answer .gp-title")).to_be_in_viewport()
    phone.wait_for_function(
        "document.querySelector('#answer .gp-card').getBoundingClientRect().top < 470"
    )
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_finds_are_kept_exported_played_and_removed(phone: Page):
    rows = phone.locator("#history tbody tr")
    expect(rows).to_have_count(2)  # of the films above
    expect(rows.first).to_contain_text("Randomness Decides")
    phone.reload()
    expect(rows).to_have_count(2, timeout=PATIENCE)
    with phone.expect_download() as download:
        phone.locator("#history [data-do=json]").click()
    finds = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert finds[0]["title"] == "Randomness Decides" and finds[0]["link"].startswith("http")
    with phone.expect_download() as download:
        phone.locator("#history [data-do=csv]").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert [row["clip"] for row in csv.DictReader(text.splitlines())] == ["film.mov", "film.mp4"]
    rows.first.get_by_role("button", name="Play").click()
    expect(rows.first.locator("[data-do=play]")).to_have_text("Stop", timeout=PATIENCE)
    rows.first.locator("[data-do=remove]").click()
    expect(rows).to_have_count(1)
    phone.get_by_label("Keep history and library").uncheck()
    assert phone.evaluate("localStorage.getItem('grafprint.finds')") is None
    phone.reload()
    expect(phone.locator("#history .empty")).to_be_visible(timeout=PATIENCE)
    # A link to a find shows it again.
    phone.goto(finds[0]["link"])
    card = phone.locator("#answer .gp-card.found")
    expect(card).to_contain_text("Randomness Decides", timeout=PATIENCE)
    expect(card).to_contain_text("0:41 of")


def test_an_address_opens_a_tab_and_the_library_is_remembered(chromium: Browser, own_address: str):
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.goto(f"{own_address}?tab=library&library=mine")
    expect(page.get_by_role("tab", name="Library")).to_have_attribute(
        "aria-selected", "true", timeout=PATIENCE
    )
    expect(page.locator("#in-use")).to_contain_text("Library “mine”", timeout=PATIENCE)
    page.get_by_role("tab", name="How it works").click()
    page.wait_for_url("**tab=how-it-works**")
    page.goto(own_address)  # an address that names no library: the one of last time
    expect(page.locator("#in-use")).to_contain_text("Library “mine”", timeout=PATIENCE)
    page.goto(f"{own_address}?library=gone")
    expect(page.get_by_text("There is no library “gone” here.")).to_be_visible(timeout=PATIENCE)
    context.close()


def test_a_long_file_is_opened_in_scan(shared_page: Page, tmp_path: Path):
    samples = np.tile(audio.load(EXAMPLES / "engine.opus"), 10)[: 65 * audio.SAMPLE_RATE]
    film = write_video(tmp_path / "long.mp4", samples)
    upload(shared_page, film)
    expect(shared_page.locator("#answer")).to_contain_text(
        "Only the loudest 30 s", timeout=PATIENCE
    )
    shared_page.locator("#scan-whole").click()
    expect(shared_page.locator("#scan-recording")).to_contain_text("long", timeout=PATIENCE)
    expect(shared_page.locator("#scan-recording")).to_be_visible()


@pytest.fixture(scope="module")
def own_address(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app with a second library, “mine”."""
    own = Studio(
        studio.fingerprinter, studio.home, shelf=tmp_path_factory.mktemp("shelf"), editable=True
    )
    shelf.create(own, "mine")
    served = launch(own, prevent_thread_lock=True, quiet=True)
    assert served.local_url
    yield served.local_url
    served.close()
