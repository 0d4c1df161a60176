"""The map coloured by what its tracks sound like, of a library with tags, in Chromium."""

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from demo.app import launch
from demo.map.chart import Chart, palette
from demo.map.maps import Maps
from demo.map.plots import save
from demo.studio import Studio
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library
from grafprint.library.labels import of_probabilities
from tests.demo.conftest import PATIENCE
from tests.paths import ASSETS

SOUNDS = ("Guitar", "Piano", "")  # of the tracks in turn; the last kind is not tagged


@pytest.fixture(scope="module")
def tagged(fingerprinter: Fingerprinter, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    place = tmp_path_factory.mktemp("tagged") / "tagged"
    shutil.copytree(ASSETS / "library", place)
    with Library.open(place, writable=True) as library:
        for number, track in enumerate(library.tracks()):
            if sound := SOUNDS[number % 3]:
                found = of_probabilities("a tagger", {"Music": 0.99, sound: 0.6})
                library.put_labels(track, found)
    return Studio(fingerprinter, place)


@pytest.fixture(scope="module")
def chart(tagged: Studio) -> Chart:
    found = Maps(tagged).find("tagged")
    assert found is not None  # tags leave the map as it is
    return found


@pytest.fixture
def page(chromium: Browser, tagged: Studio) -> Iterator[Page]:
    served = launch(tagged, prevent_thread_lock=True, quiet=True)
    context = chromium.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    assert served.local_url
    opened.goto(served.local_url)
    yield opened
    context.close()
    served.close()


def test_tracks_of_a_sound_have_a_colour(chart: Chart, tmp_path: Path):
    ids = [track.id for track in chart.library.tracks()]
    expected = [SOUNDS[ids.index(track.id) % 3] for track in chart.tracks]
    assert chart.sounds == expected
    assert len(set(chart.sound.tolist())) == 3
    colours = chart.colours("sound")
    assert len(np.unique(colours, axis=0)) == 3
    for number, sound in enumerate(dict.fromkeys(expected)):
        points = np.array([expected[t] == sound for t in chart.track])
        assert (colours[points] == palette(3)[number]).all()
    rows = list(csv.DictReader(io.StringIO(chart.table())))
    assert [row["sound"] for row in rows] == [expected[t] for t in chart.track]
    save(tmp_path / "map.svg", chart, "sound", [])
    assert (tmp_path / "map.svg").stat().st_size > 10_000


def test_the_legend_names_the_sounds_and_highlights_their_tracks(page: Page, chart: Chart):
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector(".gp-map[data-points]", timeout=PATIENCE)
    page.get_by_label("By sound").check()
    page.wait_for_selector(".gp-map[data-by=sound]")
    entries = page.locator(".gp-map-key button")
    expect(entries).to_have_count(3)
    assert set(entries.all_inner_texts()) == {"Guitar", "Piano", "not tagged"}
    for sound, name in (("Guitar", "Guitar"), ("", "not tagged")):
        entries.filter(has_text=name).click()
        count = chart.sounds.count(sound)
        expect(page.locator(".gp-map-line")).to_have_text(f"{count} of 32 tracks match.")
        expect(page.locator(".gp-map-key [aria-pressed=true]")).to_have_text(name)
        entries.filter(has_text=name).click()
