"""The page in Chromium: upload, example, microphone, player, bad files, phone, API."""

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect
from scipy.io import wavfile

from demo.app import build
from demo.identifier import Identifier
from demo.sampling import Sampling
from demo.studio import Studio
from grafprint import audio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.paths import ASSETS, ROOT


@pytest.fixture
def identify(shared_page: Page) -> Page:
    """The shared page on the tab Identify, without a clip."""
    shared_page.get_by_role("tab", name="Identify").click()
    clear = shared_page.locator("#clip").get_by_role("button", name="Clear")
    if clear.count():
        clear.first.click()
    expect(shared_page.locator("#answer .gp-card.ready")).to_be_visible(timeout=PATIENCE)
    return shared_page


def upload(page: Page, path: Path) -> None:
    page.locator("#clip").get_by_role("button", name="Upload file").click()
    page.locator("#clip input[type=file]").first.set_input_files(path)


def answer(page: Page, kind: str) -> str:
    """Wait for an answer of this kind (found, unknown or problem) and return its text."""
    card = page.locator(f"#answer .gp-card.{kind}")
    expect(card).to_be_visible(timeout=PATIENCE)
    return card.inner_text()


def test_an_uploaded_clip_is_identified_and_located(new_page: Page):
    # On a page of its own: the second answer, which looks like the first, may come after the test.
    page = new_page
    upload(page, EXAMPLES / "engine.opus")
    text = answer(page, "found")
    assert "Randomness Decides" in text and "paniq" in text and "0:41" in text
    expect(page.locator("#candidates tbody tr").first).to_contain_text("Randomness Decides")
    expect(page.locator("#evidence svg[role=img]")).to_be_visible()
    # The button Identify gives the same answer again.
    page.get_by_role("button", name="Identify", exact=True).click()
    assert "Randomness Decides" in answer(page, "found")


def test_the_player_plays_the_matched_moment(identify: Page, identifier: Identifier):
    page = identify
    upload(page, EXAMPLES / "hall.opus")
    expect(page.locator("#answer .gp-card.found")).to_contain_text("Hypatia", timeout=PATIENCE)
    link = page.locator("#reference a[download]")
    expect(link).to_be_attached(timeout=PATIENCE)
    reply = page.request.get(link.get_attribute("href") or "")
    assert reply.ok
    rate, played = wavfile.read(io.BytesIO(reply.body()))
    played = played[: 5 * rate].astype(np.float32)
    track = identifier.library.tracks("Hypatia")[0]
    path = identifier.library.audio_path(track)
    assert path is not None
    original = audio.load(path, start_s=22.0, duration_s=8)
    agreement = np.correlate(original, played, "valid")
    lag_s = int(np.argmax(agreement)) / rate
    assert lag_s == pytest.approx(0.7, abs=0.1)  # the example begins at 22.7 s


def test_an_example_is_identified_with_one_click(identify: Page):
    identify.get_by_text("At a loud party").first.click()
    assert "Galactic Temple" in answer(identify, "found")


def test_unknown_music_is_not_in_this_library(identify: Page):
    identify.get_by_text("A tune the library does not know").first.click()
    text = answer(identify, "unknown")
    assert "Not in this library" in text and "nearest track" in text
    expect(identify.locator("#candidates")).to_contain_text("none is a match")


def test_a_recording_from_the_microphone_is_identified(new_page: Page):
    # A recorder whose script has not loaded never sends its recording.
    new_page.wait_for_function(
        "performance.getEntriesByType('resource')"
        ".some(r => /record.*js/.test(r.name) && r.responseEnd > 0)",
        timeout=PATIENCE,
    )
    time.sleep(0.5)
    clip = new_page.locator("#clip")
    clip.get_by_role("button", name="Record", exact=True).click()
    time.sleep(5)
    clip.get_by_role("button", name="Stop", exact=True).click()
    assert "Musicbox" in answer(new_page, "found")


def test_the_microphone_is_asked_for_unprocessed_sound(shared_page: Page):
    settings = shared_page.evaluate(
        "navigator.mediaDevices.getUserMedia({audio: true})"
        ".then(s => s.getAudioTracks()[0].getSettings())"
    )
    assert settings["echoCancellation"] is False
    assert settings["noiseSuppression"] is False and settings["autoGainControl"] is False


@pytest.mark.parametrize(
    "name, message",
    [("silent.wav", "silent"), ("short.wav", "at least 1 s"), ("words.mp3", "not audio")],
)
def test_an_unusable_clip_gives_a_reason(identify: Page, tmp_path: Path, name: str, message: str):
    path = tmp_path / name
    if name == "words.mp3":
        path.write_text("These are words. " * 100)
    else:
        samples = np.zeros(3 * 16_000 if name == "silent.wav" else 4_800, np.int16)
        samples[:: 100 if name == "short.wav" else len(samples)] = 9_000 * (name == "short.wav")
        wavfile.write(path, 16_000, samples)
    upload(identify, path)
    text = answer(identify, "problem")
    assert message in text and "Traceback" not in text and "/tmp" not in text


def test_it_fits_a_phone(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    page.get_by_text("Beside an engine").first.click(timeout=PATIENCE)
    answer(page, "found")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="Library").click()
    expect(page.locator("#contents table")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_api_returns_json(address: str):
    client = Client(address, verbose=False)
    result = client.predict(handle_file(str(EXAMPLES / "cafe.opus")), 3, api_name="/identify")
    best = result["matches"][0]
    assert result["identified"] and best["title"] == "Musicbox"
    assert best["start_s"] == pytest.approx(31.3, abs=0.1)
    endpoints = client.view_api(return_format="dict", print_info=False)
    assert {"/identify", "/explain"} <= set(endpoints["named_endpoints"])


@pytest.mark.parametrize("path", ["README.md", "assets/library/library.sqlite3", "app.py"])
def test_files_of_the_project_are_not_served(address: str, path: str):
    for target in (f"file={ROOT / path}", f"file=../{path}", f"file={path}"):
        assert httpx.get(f"{address}gradio_api/{target}").status_code in (403, 404)


def test_live_listening_stops_when_a_match_is_confirmed(identify: Page):
    page = identify
    page.get_by_role("button", name="Listen", exact=True).click()
    expect(page.get_by_role("button", name="Stop listening")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#live canvas")).to_be_visible()
    expect(page.locator("#live .gp-live-card")).to_contain_text("Listening", timeout=PATIENCE)
    assert "Musicbox" in answer(page, "found")
    expect(page.get_by_role("button", name="Listen", exact=True)).to_be_visible()
    # The recording can be played, and identified again.
    expect(page.locator("#clip a[download]")).to_be_attached(timeout=PATIENCE)
    page.get_by_role("button", name="Identify", exact=True).click()
    assert "Musicbox" in answer(page, "found")


def test_clip_and_track_are_compared_by_ear(new_page: Page):
    # On a page of its own: sounds that arrive after the click would stop those of another clip.
    page = new_page
    upload(page, EXAMPLES / "hall.opus")
    answer(page, "found")
    expect(page.locator("#reference a[download]")).to_be_attached(timeout=PATIENCE)
    expect(page.locator("#evidence svg[role=img]")).to_be_visible(timeout=PATIENCE)
    switch = page.locator("#compare")
    switch.get_by_role("button", name="Your clip").click()
    expect(switch.get_by_role("button", name="Your clip")).to_have_attribute("aria-pressed", "true")
    switch.get_by_role("button", name="Play").click()
    expect(switch.get_by_role("button", name="Stop")).to_be_visible(timeout=PATIENCE)
    switch.get_by_role("button", name="The track").click()
    expect(switch.get_by_role("button", name="The track")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("document.querySelector('#compare progress').value > 0.05")
    switch.get_by_role("button", name="Stop").click()
    expect(switch.get_by_role("button", name="Play")).to_be_visible()


def test_the_pipeline_is_shown_with_the_visitors_own_clip(identify: Page):
    page = identify
    upload(page, EXAMPLES / "engine.opus")
    answer(page, "found")
    page.get_by_role("tab", name="How it works").click()
    shown = page.locator("#explain")
    expect(shown).to_contain_text("engine.opus", timeout=PATIENCE)
    expect(shown.locator(".gp-stage")).to_have_count(7)
    expect(shown.locator("svg[role=img]")).to_have_count(10)
    expect(shown.locator(".gp-card.found")).to_contain_text("Randomness Decides")
    before = shown.locator("svg").nth(4).inner_html()
    page.locator("#explain-second input[type=number]").fill("4")
    page.locator("#explain-second input[type=number]").press("Enter")
    slider = page.locator("#explain-second input[type=range]")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelectorAll('#explain svg')[4].innerHTML !== before",
        arg=before,
        timeout=PATIENCE,
    )


def test_an_example_is_explained_before_there_is_a_clip(new_page: Page):
    new_page.get_by_role("tab", name="How it works").click()
    expect(new_page.locator("#explain .gp-card.found")).to_be_visible(timeout=PATIENCE)


def test_the_documented_program_works(address: str, tmp_path: Path):
    text = (ROOT / "docs" / "app.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    wavfile.write(tmp_path / "clip.wav", 16_000, audio.load(EXAMPLES / "cafe.opus"))
    code = code.replace("http://127.0.0.1:7860", address)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Musicbox from 31." in done.stdout


def test_the_documented_endpoints_are_those_of_the_app(studio: Studio, sampling: Sampling):
    """Of one with all its tabs."""
    text = (ROOT / "docs" / "app.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(/\w+)`", text))
    whole = Studio(
        studio.fingerprinter, ASSETS / "library", tagger=studio.tagger, sampling=sampling
    )
    api = build(whole).get_api_info()
    assert set(api["named_endpoints"]) == documented
