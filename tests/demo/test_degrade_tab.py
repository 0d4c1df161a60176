"""The tab Degrade in Chromium, and its endpoints."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Locator, Page, expect
from scipy.io import wavfile

from demo.clips import Clip, ClipError, from_track
from demo.degrade import breaking
from demo.degrade.chain import (
    NONE,
    OWN,
    RECORDED,
    SIMULATED,
    Own,
    Values,
    degrade_clip,
    plan,
    prepare,
)
from demo.degrade.recordings import Recordings
from demo.identifier import Identifier
from demo.studio import Studio
from grafprint import audio
from grafprint.degradation import synthetic_noise, synthetic_rooms
from grafprint.evaluation.breaking_point import SNRS_DB, Point
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.libraries import write_wav

RATE = audio.SAMPLE_RATE
PLAIN = Values("cafe", 10, NONE, 0.5, 100, 0, 8000, 100, NONE, 0)


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Degrade").click()
    expect(page.locator("#verdict .gp-card")).to_be_visible(timeout=PATIENCE)


@pytest.fixture(scope="module")
def first_picture() -> list[str]:
    """The degraded spectrogram of the first values, once it is known."""
    return []


@pytest.fixture
def degrade_tab(shared_page: Page, first_picture: list[str]) -> Page:
    """The tab on the shared page, with a track of the library and the controls' first values."""
    page = shared_page
    open_tab(page)
    if page.locator("#noise input").input_value() != "Café":
        choose(page, "noise", "Café")
    if page.locator("#snr input[type=number]").input_value() != "10":
        set_number(page, "snr", 10)
    picture = degraded_picture(page)
    if first_picture:
        expect(picture).to_have_attribute("src", first_picture[0], timeout=PATIENCE)
    else:
        first_picture.append(picture.get_attribute("src") or "")
    verdict(page, "found", "That is right: it is where it was cut from")
    return page


def degraded_picture(page: Page) -> Locator:
    return page.locator("#degraded-pictures img").nth(1)


def set_number(page: Page, name: str, value: float) -> None:
    box = page.locator(f"#{name} input[type=number]")
    box.fill(str(value))
    box.press("Enter")


def choose(page: Page, name: str, option: str) -> None:
    page.locator(f"#{name} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def verdict(page: Page, kind: str, text: str = "") -> None:
    card = page.locator(f"#verdict .gp-card.{kind}")
    expect(card).to_be_visible(timeout=PATIENCE)
    expect(card).to_contain_text(text, timeout=PATIENCE)


def test_a_slider_changes_sound_picture_and_verdict(degrade_tab: Page):
    page = degrade_tab
    degraded = degraded_picture(page)
    sound = page.locator("#degraded-sound a[download]")
    before = degraded.get_attribute("src"), sound.get_attribute("href")
    clean = page.locator("#degraded-pictures img").nth(0).get_attribute("src")
    set_number(page, "snr", -10)
    verdict(page, "unknown", "Not found")
    expect(degraded).not_to_have_attribute("src", before[0] or "")
    expect(sound).not_to_have_attribute("href", before[1] or "", timeout=PATIENCE)
    expect(page.locator("#degraded-pictures img").nth(0)).to_have_attribute("src", clean or "")
    set_number(page, "snr", 20)
    verdict(page, "found", "That is right")


def test_the_visitors_clip_is_degraded(new_page: Page):
    new_page.get_by_text("In a busy café").first.click()
    expect(new_page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE)
    open_tab(new_page)
    verdict(new_page, "found", "Musicbox")
    expect(new_page.locator("#verdict")).to_contain_text("what the clean clip is identified as")
    choose(new_page, "noise", "None")
    expect(new_page.locator("#snr")).not_to_be_visible()
    choose(new_page, "room", "Simulated")
    expect(new_page.locator("#rt60")).to_be_visible()
    verdict(new_page, "found", "Musicbox")


def test_the_breaking_point_is_drawn_and_follows_the_slider(degrade_tab: Page):
    page = degrade_tab
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


def test_own_noise_is_used_and_a_text_file_is_refused(degrade_tab: Page, tmp_path: Path):
    page = degrade_tab
    choose(page, "noise", "Your own file")
    verdict(page, "problem", "Choose a file with your own noise first")
    words = tmp_path / "words.txt"
    words.write_text("These are words. " * 100)
    page.locator("#noise-file input[type=file]").set_input_files(words)
    verdict(page, "problem", "words.txt")
    expect(page.locator("#verdict")).not_to_contain_text("/tmp")
    page.get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).first.click()
    hum = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    wavfile.write(tmp_path / "hum.wav", RATE, (20_000 * hum).astype(np.int16))
    page.locator("#noise-file input[type=file]").set_input_files(tmp_path / "hum.wav")
    verdict(page, "found", "That is right")


def test_it_fits_a_phone(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    open_tab(page)
    page.locator("#snr").scroll_into_view_if_needed()
    expect(page.locator("#verdict .gp-card")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_api_degrades_a_clip_and_finds_its_breaking_point(address: str, tmp_path: Path):
    before = audio.load(EXAMPLES / "hall.opus", duration_s=3)
    clip = handle_file(str(write_wav(tmp_path / "hall.wav", before)))
    client = Client(address, verbose=False)
    settings = [None, None, "rain", 0, 0.4, 80, 200, 4000, 50, "opus 16 kbit/s", 1]
    path = client.predict(clip, *settings, api_name="/degrade")
    degraded = audio.load(path)
    assert abs(len(degraded) - len(before)) <= 1
    assert not np.allclose(degraded, before, atol=0.01)
    result = client.predict(clip, "", *settings, api_name="/breaking_point")
    assert "Hypatia" in result["title"] and len(result["points"]) == 2 * len(SNRS_DB)
    assert set(result["found_down_to_db"]) == {"without_room", "in_room"}
    with pytest.raises(Exception, match="no noise 'thunder'"):
        client.predict(clip, None, None, "thunder", api_name="/degrade")


def test_recorded_noises_and_rooms_come_from_the_folders(studio: Studio, tmp_path: Path):
    noise, room = tmp_path / "noise", tmp_path / "rooms"
    noise.mkdir()
    room.mkdir()
    wavfile.write(noise / "fan.wav", RATE, synthetic_noise.noise("machine", RATE, 0))
    wavfile.write(room / "hall.wav", RATE, synthetic_rooms.room(0.8, np.random.default_rng(0)))
    (room / "broken.wav").write_text("not a room")
    recorded = Recordings.of(Studio(studio.fingerprinter, studio.home, noise=noise, rooms=room))
    assert set(recorded.noises) == {"fan"} and set(recorded.rooms) == {"hall", "broken"}
    values = Values(RECORDED + "fan", 0, RECORDED + "hall", 0.5, 100, 0, 8000, 100, NONE, 0)
    steps = plan(values, Own(), recorded)
    assert len(steps.noise) == 1 and isinstance(steps.room, np.ndarray)
    with pytest.raises(ClipError, match=r"^cannot read 'broken.wav'"):
        recorded.room("broken")
    with pytest.raises(ClipError, match="no recording “"):
        recorded.noise("../x")
    with pytest.raises(ClipError, match="room response first"):
        plan(Values("cafe", 0, OWN, 0.5, 100, 0, 8000, 100, NONE, 0), Own(), recorded)


def test_the_truth_is_where_a_clip_of_this_library_was_cut(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 12.0)
    source = prepare(identifier, clip, clip, ())
    assert source.truth and source.truth.given and source.clip.duration_s == 10
    elsewhere = Clip(clip.samples, "of another library", past=clip.past, place=(track.id, 3.0))
    guess = prepare(identifier, elsewhere, elsewhere, ()).truth
    assert guess and not guess.given and guess.start_s == pytest.approx(20, abs=0.05)
    rng = np.random.default_rng(0)
    hiss = Clip(rng.normal(0, 0.1, 3 * RATE).astype(np.float32), "hiss")
    assert prepare(identifier, hiss, hiss, ()).truth is None


def test_a_degraded_clip_has_no_clean_past(identifier: Identifier):
    track = identifier.library.tracks("Musicbox")[0]
    clip = from_track(identifier.library, track, 20.0, 3.0)
    values = Values("rain", 5, SIMULATED, 0.3, 100, 0, 8000, 100, NONE, 0)
    degraded = degrade_clip(clip, plan(values, Own(), Recordings({}, {})))
    assert len(degraded.past) == 0 and degraded.place == clip.place
    assert degraded.samples.shape == clip.samples.shape


def test_the_report_says_where_the_clip_is_still_found():
    points = [
        Point(snr, reverb, "place" if snr > 0 else "wrong", snr > 0, 0.8 if snr > 0 else 0.4, 0.5)
        for snr in SNRS_DB
        for reverb in (False, True)
    ]
    html = breaking.report(points, PLAIN, "<b>Title</b>", given=False)
    assert "Without a room, it is found down to 2.5 dB." in html and "<b>Title" not in html
    assert "Noise: Café." in html and "the clean clip is identified as" in html
    assert "Tested 4 of 34" in breaking.report(points[:4], PLAIN, "Title", given=True)
