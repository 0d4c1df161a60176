"""The tab Scan in Chromium: an example show, its timeline, and its files."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect
from scipy.io import wavfile

from demo.clips import ClipError
from demo.scan import cards as scan_cards
from demo.scan import show
from demo.studio import Studio
from grafprint import audio
from grafprint.library import Library
from grafprint.remote.opening import AnyLibrary
from grafprint.scan import Scan, gaps
from grafprint.scan.plays import Play
from tests.demo.conftest import PATIENCE


@pytest.fixture(scope="module")
def library(studio: Studio) -> AnyLibrary:
    return studio.identifier().library


@pytest.fixture
def result(library: AnyLibrary) -> Scan:
    one, two = library.tracks()[:2]
    plays = [Play(one, 0, 30, 5, 35, 1, 0.9), Play(two, 27, 50, 0, 23, 1, 0.8, (one,))]
    return Scan("/secret/place/show.wav", 80.0, plays, gaps(plays, [(50, 60)], 80.0))


def test_the_timeline_puts_overlapping_plays_on_lanes(result: Scan):
    html = scan_cards.timeline(result)
    assert "--lanes: 2" in html and "--lane: 0" in html and "--lane: 1" in html
    assert "left: 33.750%; width: 28.750%" in html
    assert f"0:00 to 0:30 {result.plays[0].track.title}" in html
    assert [f"{tick}</div>" in html for tick in ("0:15", "0:30", "1:00", "0:11")] == [1, 1, 1, 0]
    assert scan_cards.timeline(Scan("x", 0.0, [], [])) == ""


def test_the_axis_stays_while_it_fills(result: Scan):
    half = scan_cards.timeline(result, 0.5)
    assert "left: 16.875%; width: 14.375%" in half
    assert "2:00</div>" in half and "0:30</div>" in half and "0:15</div>" not in half


def test_the_table_lists_plays_and_gaps(result: Scan):
    html = scan_cards.table(result)
    assert html.count("<tr") == 4 and "Unknown" in html
    assert f"or {result.plays[0].track.title}" in html
    summary = scan_cards.summary(result, 1.0)
    assert "2 plays in 1:20 min, of which 0:30 min are unknown." in summary
    assert "Stopped" in scan_cards.summary(result, 0.5)
    known = replace(result, gaps=[])
    assert "unknown" not in scan_cards.summary(known, 1.0)
    slow = replace(result, plays=[replace(result.plays[0], speed=0.97)])
    assert "−3.0 %" in scan_cards.table(slow) and "%</td>" not in html


def test_no_path_is_shown(result: Scan):
    for html in (scan_cards.timeline(result), scan_cards.table(result)):
        assert "secret" not in html
    assert "download=" in scan_cards.files(result, 'a"<b>.wav')
    assert "<b>" not in scan_cards.files(result, 'a"<b>.wav')


def test_a_library_without_audio_gives_no_example(library: Library, tmp_path, monkeypatch):
    monkeypatch.setattr(Library, "audio_path", lambda self, track: None)
    with pytest.raises(ClipError, match="audio files of this library are missing"):
        show.write_show(library, np.random.default_rng(0), tmp_path)


def test_an_example_show_becomes_a_timeline(new_page: Page):
    new_page.get_by_role("tab", name="Scan").click()
    new_page.locator("#scan-start").click()
    expect(new_page.locator("#scan-progress")).to_contain_text(
        "Choose a recording", timeout=PATIENCE
    )
    new_page.locator("#scan-example").click()
    expect(new_page.locator("#scan-recording")).to_contain_text(".wav", timeout=PATIENCE)
    new_page.locator("#scan-start").click()
    expect(new_page.locator("#scan-progress")).to_contain_text("plays in 1:", timeout=PATIENCE)
    bars = new_page.locator("#scan-timeline .play")
    assert bars.count() >= 3
    lanes = new_page.locator("#scan-timeline .lanes").bounding_box()
    for number in range(bars.count()):  # no bar is cut by the frame
        bar = bars.nth(number).bounding_box()
        assert lanes and bar and lanes["y"] < bar["y"]
        assert bar["y"] + bar["height"] < lanes["y"] + lanes["height"]
    assert new_page.locator("#scan-table tr.gap").count() >= 1
    for place in (bars.first, new_page.locator("#scan-table .hear").last):
        place.click()
        expect(new_page.locator("#scan-mix")).to_contain_text("The recording", timeout=PATIENCE)
        title = (place.text_content() or "").strip()
        expect(new_page.locator("#scan-track")).to_contain_text(title, timeout=PATIENCE)
    for ending, read in (("json", json.loads), ("csv", None), ("cue", None)):
        with new_page.expect_download() as download:
            new_page.locator(f"#scan-files a[download='show.{ending}']").click()
        text = download.value.path().read_text()
        if read:
            assert read(text)["recording"] == "show.wav"
        if ending == "csv":
            assert len(list(csv.DictReader(text.splitlines()))) >= bars.count()
    expect(new_page.locator("#scan-start")).to_be_enabled()


def test_a_stopped_scan_keeps_its_results(new_page: Page, library: Library, tmp_path):
    path = library.audio_path(library.tracks()[4])
    assert path is not None
    samples = np.tile(audio.load(path, duration_s=40), 20)
    wavfile.write(tmp_path / "long.wav", audio.SAMPLE_RATE, (samples * 30000).astype(np.int16))
    new_page.get_by_role("tab", name="Scan").click()
    new_page.locator("#scan-recording input[type=file]").set_input_files(tmp_path / "long.wav")
    expect(new_page.locator("#scan-recording")).to_contain_text("long", timeout=PATIENCE)
    new_page.locator("#scan-start").click()
    expect(new_page.locator("#scan-timeline .play").first).to_be_visible(timeout=PATIENCE)
    new_page.locator("#scan-stop").click()
    expect(new_page.locator("#scan-progress")).to_contain_text("Stopped here", timeout=PATIENCE)
    expect(new_page.locator("#scan-files")).to_contain_text("Download CSV")


def test_the_api_returns_a_timeline_as_json(address: str, library: Library, tmp_path):
    path = show.write_show(library, np.random.default_rng(1), tmp_path)
    client = Client(address, verbose=False)
    scan = client.predict(handle_file(path), "", api_name="/scan")
    titles = [entry["title"] for entry in scan["entries"]]
    assert scan["recording"] == "show.wav" and len([t for t in titles if t]) >= 3
    (tmp_path / "text.wav").write_text("this is text")
    with pytest.raises(Exception, match=r"text\.wav.*not audio") as refused:
        client.predict(handle_file(tmp_path / "text.wav"), "", api_name="/scan")
    assert "/tmp" not in str(refused.value)
