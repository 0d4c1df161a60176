"""The tab Samples in Chromium: its example, bands, sounds, nodes; and its endpoint."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, expect

from demo.app import build, launch
from demo.clips import ClipError
from demo.samples import data, example, scene
from demo.samples.scene import SampleView
from demo.sampling import Sampling
from demo.studio import Studio
from grafprint.errors import CheckpointError
from grafprint.fingerprint import Fingerprinter
from grafprint.matching.samples import Unchecked
from tests.demo.conftest import PATIENCE
from tests.libraries import write_wav
from tests.paths import ASSETS
from tests.sample_networks import sampling_song

NUMBER = 3


@pytest.fixture(scope="module")
def folder(sampling_folder: Path) -> Path:
    write_wav(sampling_folder / "new.wav", sampling_song(NUMBER, 6, 5))
    return sampling_folder


@pytest.fixture(scope="module")
def view(folder: Path, sampling: Sampling) -> SampleView:
    path = folder / "new.wav"
    return scene.look_up(sampling, path, "new", sampling.find(path))


@pytest.fixture(scope="module")
def samples_address(fingerprinter: Fingerprinter, sampling: Sampling) -> Iterator[str]:
    studio = Studio(fingerprinter, ASSETS / "library", sampling=sampling)
    served = launch(studio, prevent_thread_lock=True, quiet=True)
    assert served.local_url
    yield served.local_url
    served.close()


@pytest.fixture(scope="module")
def opened(chromium: Browser, samples_address: str) -> Iterator[Page]:
    """The tab after a click on the example."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    page.goto(samples_address)
    page.get_by_role("tab", name="Samples", exact=True).click(timeout=PATIENCE)
    expect(page.locator(".gp-samples [data-part=note]")).to_contain_text("begin with the example")
    page.locator("#samples-example").click()
    expect(page.locator(".gp-samples .tracks button").first).to_be_visible(timeout=PATIENCE)
    yield page
    context.close()


def test_the_page_gets_what_was_found(view: SampleView, sampling: Sampling):
    value = json.loads(data.value(view, sampling))
    best = next(t for t in view.found.tracks if t.track.title == f"song {NUMBER}")
    assert value["song"]["duration_s"] == 20 and best.track.title in value["note"]
    shown = {track["title"]: track for track in value["tracks"]}
    assert len(shown[best.track.title]["regions"]) == len(best.regions)
    assert view.picture.shape[0] == sampling.fingerprinter.features.n_mels
    assert 0 <= view.picture.min() < 0.5 < view.picture.max() == 1


def test_a_region_is_heard_in_both_recordings(view: SampleView, sampling: Sampling):
    region = view.tracks[0].regions[0]
    for side, length_s in (
        (0, region.end_s - region.start_s),
        (1, region.track_end_s - region.track_start_s),
    ):
        heard = scene.sound(sampling, view, side, 0, 0)
        assert len(heard) / 16_000 == pytest.approx(min(length_s, scene.HEARD_S), abs=0.01)
    with pytest.raises(ClipError, match="no such region"):
        scene.sound(sampling, view, 0, 99, 0)


def test_attention_is_that_of_the_re_ranker(view: SampleView, sampling: Sampling):
    look = scene.look(sampling, view, 0, 0)
    nodes = look.grid[0] * look.grid[1]
    assert look.attention.shape == (4, nodes, nodes)
    np.testing.assert_allclose(look.attention.sum(axis=2), 1, atol=1e-3)
    value = json.loads(data.look_value(look))
    assert all(max(head) == 255 and len(head) == nodes**2 for head in value["heads"])
    without = Sampling(sampling.library, sampling.fingerprinter)
    with pytest.raises(ClipError, match="no re-ranker"):
        scene.look(without, view, 0, 0)
    assert "no re-ranker is loaded" in data.sentence(
        scene.look_up(without, view.path, "new", without.find(view.path))
    )


def test_the_example_samples_a_track_of_the_library(sampling: Sampling):
    song, track = example.make_song(sampling)
    assert len(song) == example.SONG_S * 16_000 and np.abs(song).max() == pytest.approx(0.8)
    assert track.id in {t.id for t in sampling.library.tracks()}
    again, _ = example.make_song(sampling)
    np.testing.assert_array_equal(song, again)


def test_a_band_ties_each_region(opened: Page):
    page = opened
    regions = page.locator(".gp-samples .region")
    assert page.locator(".gp-samples .band").count() == regions.count() > 0
    tracks = page.locator(".gp-samples .tracks button")
    expect(tracks.first).to_have_attribute("aria-pressed", "true")
    tracks.nth(1).focus()
    page.keyboard.press("Enter")
    expect(tracks.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".gp-samples [data-part=trackname]")).to_contain_text(
        tracks.nth(1).locator(".name").inner_text()
    )
    regions.last.click()
    expect(page.locator(".gp-samples .band[data-chosen=true]")).to_have_count(1)


def test_both_recordings_are_played(opened: Page):
    page = opened
    page.locator(".gp-samples .hear[data-hear='0']").first.click()
    page.wait_for_function("document.querySelector('#samples-sound audio').duration > 0.9")
    before = page.locator("#samples-sound audio").get_attribute("src")
    page.locator(".gp-samples .band rect[data-side='1']").first.dispatch_event("click")
    page.wait_for_function(
        "before => document.querySelector('#samples-sound audio').src !== before", arg=before
    )


def test_a_node_lights_those_that_it_looks_at(opened: Page):
    page = opened
    nodes = page.locator(".gp-nodes [data-part=grid0] button")
    expect(nodes).to_have_count(32, timeout=PATIENCE)
    nodes.nth(5).click()
    expect(nodes.nth(5)).to_have_attribute("aria-pressed", "true")
    lit = page.locator(".gp-nodes [data-part=grid1] button").evaluate_all(
        "cells => cells.map(c => Number(c.style.getPropertyValue('--light')))"
    )
    assert max(lit) == 1 and min(lit) == 0
    page.keyboard.press("ArrowRight")
    expect(nodes.nth(6)).to_be_focused()
    page.locator(".gp-nodes [data-part=head]").select_option("2")
    page.locator(".gp-nodes [data-part=grid1] button").first.click()
    expect(page.locator(".gp-nodes [data-part=told]")).to_contain_text("looks most at this one")


def test_coming_back_to_the_tab_keeps_what_was_found(opened: Page):
    page = opened
    note = page.locator(".gp-samples [data-part=note]").inner_text()
    page.get_by_role("tab", name="Identify", exact=True).click()
    page.get_by_role("tab", name="Samples", exact=True).click()
    page.wait_for_timeout(1500)  # a search would have begun to show
    expect(page.locator(".gp-samples [data-part=note]")).to_have_text(note)
    expect(page.locator(".gp-samples .tracks button").first).to_be_visible()


def test_it_fits_a_phone(opened: Page):
    page = opened
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1100, "height": 900})


def test_the_endpoint_finds_samples(samples_address: str, folder: Path, view: SampleView):
    client = Client(samples_address, verbose=False)
    found = client.predict(handle_file(folder / "new.wav"), api_name="/samples")
    assert [t["title"] for t in found["samples"]] == [t.track.title for t in view.found.found]
    assert "path" not in json.dumps(found)


def test_what_could_not_be_compared_is_told_without_paths(
    folder: Path, sampling: Sampling, view: SampleView
):
    left = Unchecked(view.tracks[0].track, f"its audio file {folder} is gone")
    found = replace(view.found, unchecked=(left,))
    assert str(folder) not in json.dumps(data.answer(found))
    assert "1 candidate could not be compared" in data.sentence(replace(view, found=found))


def test_without_a_library_there_is_no_tab(fingerprinter: Fingerprinter):
    page = build(Studio(fingerprinter, ASSETS / "library"))
    labels = [block.label for block in page.blocks.values() if hasattr(block, "label")]
    assert "Graph" in labels and "Samples" not in labels


def test_networks_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match="does not find samples"):
        Sampling.load(ASSETS / "library", folder / "reranker.safetensors")
