"""The tab Degrade in Chromium, and its endpoint."""

import re
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Locator, Page, expect
from scipy.io import wavfile

from demo.degrade.values import (
    of_preset,
)
from grafprint import audio
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE
from tests.libraries import write_wav

RATE = audio.SAMPLE_RATE


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
    choose(page, "noise", "Machine")
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


def test_a_preset_chosen_while_the_first_clip_is_prepared_is_heard(new_page: Page):
    new_page.get_by_role("tab", name="Degrade", exact=True).click()
    new_page.locator("#preset").get_by_label("Laptop in a café").check()
    expect(new_page.locator("#degraded-pictures")).to_contain_text("oudspeaker", timeout=PATIENCE)


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


def pressed(page: Page, name: str) -> None:
    button = page.locator("#clean-or-degraded").get_by_role("button", name=name, exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")


def test_clean_and_degraded_are_switched_at_the_same_moment(degrade_tab: Page):
    page = degrade_tab
    player = page.locator("#clean-or-degraded")
    bar = player.locator("progress")

    def place() -> float:
        return float(bar.evaluate("bar => bar.value"))

    player.get_by_role("button", name="Play").click()
    expect(player.get_by_role("button", name="Stop")).to_be_visible(timeout=PATIENCE)
    page.wait_for_function("document.querySelector('#clean-or-degraded progress').value > 0.2")
    before = place()
    stop = player.get_by_role("button", name="Stop")
    sound = page.locator("#degraded-sound a[download]")
    for name in ("Clean", "Degraded"):
        pressed(page, name)
        plays = "clean" if name == "Clean" else str(sound.evaluate("link => link.href"))
        expect(stop).to_have_attribute("data-plays", plays, timeout=PATIENCE)
        after = place()
        assert before <= after or after < 0.15  # unless a slow machine let it begin again
        before = after
    # Another degraded clip is followed without a pause.
    set_number(page, "snr", 0)
    expect(stop).not_to_have_attribute("data-plays", plays, timeout=PATIENCE)
    expect(stop).to_have_attribute(
        "data-plays", str(sound.evaluate("link => link.href")), timeout=PATIENCE
    )
    stop.click()
    expect(player.get_by_role("button", name="Play")).to_be_visible()
    assert place() == 0


# Records the clock, the place in the sound, and its length, of every sound that is started.
RECORD_STARTS = """() => {
  window.started = [];
  const start = AudioBufferSourceNode.prototype.start;
  AudioBufferSourceNode.prototype.start = function (when, place) {
    window.started.push([this.context.currentTime, place, this.buffer.duration]);
    return start.call(this, when, place);
  };
}"""


def test_a_faster_clip_is_switched_at_the_same_moment_of_the_music(new_page: Page):
    page = new_page
    open_tab(page)
    degraded = degraded_picture(page)
    picture = degraded.get_attribute("src") or ""
    page.locator("#part-speed button").first.click()
    set_number(page, "speed", 20)
    expect(degraded).not_to_have_attribute("src", picture, timeout=PATIENCE)
    expect(page.locator("#degraded-pictures [data-speed='1.2']")).to_be_visible()
    page.evaluate(RECORD_STARTS)
    player = page.locator("#clean-or-degraded")
    player.get_by_role("button", name="Play").click()
    for name in ("Clean", "Degraded"):
        page.wait_for_timeout(600)
        pressed(page, name)
    page.wait_for_function("window.started.length === 3")
    player.get_by_role("button", name="Stop").click()
    starts = page.evaluate("window.started")
    assert [length for _, _, length in starts] == pytest.approx([5 / 1.2, 5, 5 / 1.2], abs=0.01)
    # In seconds of the clean clip, which loops.
    first_s = (starts[1][0] - starts[0][0]) * 1.2
    assert starts[0][1] == 0 and starts[1][1] == pytest.approx(first_s % 5, abs=0.05)
    second_s = first_s + starts[2][0] - starts[1][0]
    assert starts[2][1] == pytest.approx(second_s % 5 / 1.2, abs=0.05)


def test_a_preset_sets_the_controls_and_a_control_leaves_it(degrade_tab: Page):
    page = degrade_tab
    preset = page.locator("#preset")
    wanted = of_preset("laptop in a café")
    preset.get_by_label("Laptop in a café").check()
    expect(page.locator("#degraded-pictures")).to_contain_text("babble", timeout=PATIENCE)
    assert page.locator("#room input").input_value() == "Simulated"
    assert float(page.locator("#snr input[type=number]").input_value()) == wanted.snr_db
    page.locator("#part-loudspeaker button").first.click()
    high_pass = page.locator("#high-pass input[type=number]")
    assert float(high_pass.input_value()) == wanted.high_pass_hz
    expect(page.locator("#channel")).not_to_be_visible()  # the bundled music is mono
    set_number(page, "high-pass", 0)
    expect(preset.locator("input:checked")).to_have_count(0)
    preset.get_by_label("None").check()
    expect(page.locator("#degraded-pictures")).not_to_contain_text("oudspeaker", timeout=PATIENCE)
    expect(page.locator("#rt60")).not_to_be_visible()
    verdict(page, "found", "That is right")
    clean, degraded = (page.locator("#degraded-pictures img").nth(i) for i in (0, 1))
    assert clean.get_attribute("src") == degraded.get_attribute("src")


def test_without_a_clip_of_ones_own_an_example_is_degraded(degrade_tab: Page):
    page = degrade_tab
    page.get_by_label("Your clip", exact=True).check()
    expect(page.locator("#degrade-track")).not_to_be_visible()
    verdict(page, "found", "what the clean clip is identified as")
    page.get_by_label("A track of the library").check()
    verdict(page, "found", "That is right: it is where it was cut from")


def test_a_loudspeaker_can_play_one_channel_of_a_stereo_clip(new_page: Page, tmp_path: Path):
    page = new_page
    music = audio.load(EXAMPLES / "hall.opus", duration_s=4)
    silent_right = np.stack([music, np.zeros_like(music)], axis=1)
    wavfile.write(tmp_path / "left.wav", RATE, (silent_right * 32767).astype(np.int16))
    page.locator("#clip").get_by_role("button", name="Upload file").click()
    page.locator("#clip input[type=file]").first.set_input_files(tmp_path / "left.wav")
    expect(page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE)
    open_tab(page)
    page.locator("#part-loudspeaker button").first.click()
    page.locator("#channel").get_by_label("Right only").check()
    verdict(page, "problem")  # there is nothing but silence
    page.locator("#channel").get_by_label("Left only").check()
    verdict(page, "found", "what the clean clip is identified as")
    expect(page.locator("#degraded-pictures")).to_contain_text("left channel only")
    page.get_by_label("A track of the library").check()
    verdict(page, "found", "it is where it was cut from")
    expect(page.locator("#channel")).not_to_be_visible()  # the bundled music is mono


def test_it_fits_a_phone(degrade_tab: Page):
    page = degrade_tab
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#snr").scroll_into_view_if_needed()
    expect(page.locator("#verdict .gp-card")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1100, "height": 900})


def test_the_api_degrades_a_clip(address: str, tmp_path: Path):
    before = audio.load(EXAMPLES / "hall.opus", duration_s=3)
    clip = handle_file(str(write_wav(tmp_path / "hall.wav", before)))
    client = Client(address, verbose=False)
    settings = [None, None, "rain", 0, 0.4, 80, 200, 4000, 50, "opus 16 kbit/s", 1]
    path = client.predict(clip, *settings, api_name="/degrade")
    degraded = audio.load(path)
    assert abs(len(degraded) - len(before)) <= 1
    assert not np.allclose(degraded, before, atol=0.01)
    more = {"high_pass_hz": 400, "second": "babble", "speed": 25}
    path = client.predict(clip, *[None] * 2, *settings[2:], "club", more, api_name="/degrade")
    assert abs(len(audio.load(path)) - len(before) / 1.25) <= 1
    for wrong, reason in (({"bass": 1}, "no setting 'bass'"), ({"tilt_db": "x"}, "a number")):
        with pytest.raises(Exception, match=reason):
            client.predict(clip, *settings, "", wrong, api_name="/degrade")
    with pytest.raises(Exception, match="no preset 'cinema'"):
        client.predict(clip, *settings, "cinema", None, api_name="/degrade")
    with pytest.raises(Exception, match="no noise 'thunder'"):
        client.predict(clip, None, None, "thunder", api_name="/degrade")
