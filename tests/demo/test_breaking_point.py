"""The breaking point on the tab Degrade in Chromium, and its endpoint."""

import re
from pathlib import Path

from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from demo.clips import from_track
from demo.degrade.chain import prepare
from demo.degrade.events import Events
from demo.degrade.recordings import Recordings
from demo.degrade.values import NAMES, NONE, Own, Values
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint import audio
from grafprint.evaluation.breaking_point import SNRS_DB
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.demo.test_degrade_tab import degraded_picture, open_tab, set_number, verdict
from tests.libraries import write_wav

PLAIN = Values("cafe", 10, NONE, 0.5, 100, 0, 8000, 100, NONE, 0)


def test_the_breaking_point_is_drawn_and_follows_the_slider(new_page: Page):
    page = new_page
    open_tab(page)
    verdict(page, "found", "That is right: it is where it was cut from")
    page.get_by_role("button", name="Find the breaking point").click()
    report = page.locator("#breaking")
    expect(report).to_contain_text("Tested", timeout=PATIENCE)
    expect(report).to_contain_text(
        re.compile(r"Without a room, it is found .*In the room, it is"), timeout=PATIENCE
    )
    drawn = report.locator("svg[role=img]")
    assert "Score against SNR" in (drawn.get_attribute("aria-label") or "")
    line = report.locator("#snr-place")
    assert line.get_attribute("data-drawn-db") == "10"
    before = line.bounding_box()
    picture = degraded_picture(page).get_attribute("src") or ""
    set_number(page, "snr", 30)
    expect(line).to_have_attribute("transform", re.compile("translate"), timeout=PATIENCE)
    after, whole = line.bounding_box(), drawn.bounding_box()
    assert before and after and whole
    # The line moves by 20 of the axis's 42 dB; the axis takes most of the width.
    assert 0.35 < (after["x"] - before["x"]) / whole["width"] < 20 / 42
    expect(degraded_picture(page)).not_to_have_attribute("src", picture, timeout=PATIENCE)


def test_the_breaking_point_shows_its_progress_before_the_first_result(
    studio: Studio, identifier: Identifier
):
    events = Events(studio, Recordings({}, {}))
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 2.0)
    source = prepare(identifier, clip, None, ())
    values = [getattr(PLAIN, name) for name in NAMES]
    reports = events.sweep(source, Own(), studio.names()[0], *values)
    for done in range(3):
        html = next(reports)
        assert f"Tested {done} of {2 * len(SNRS_DB)}" in html and f'value="{done}"' in html
        assert "<svg" in html
    reports.close()  # type: ignore[attr-defined]


def test_the_api_finds_the_breaking_point(address: str, tmp_path: Path):
    music = audio.load(EXAMPLES / "hall.opus", duration_s=2)
    clip = handle_file(str(write_wav(tmp_path / "hall.wav", music)))
    settings = [None, None, "rain", 0, 0.4, 80, 200, 4000, 50, "opus 16 kbit/s", 1]
    client = Client(address, verbose=False)
    result = client.predict(clip, "", *settings, api_name="/breaking_point")
    assert "Hypatia" in result["title"] and len(result["points"]) == 2 * len(SNRS_DB)
    assert set(result["found_down_to_db"]) == {"without_room", "in_room"}
