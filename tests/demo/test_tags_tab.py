"""The tab Tags in Chromium: bars, time, light, sound; and its endpoint."""

import json

import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Page, expect

from demo.clips import ClipError, from_file, from_track
from demo.scene import Scene
from demo.scene import scene as scene_of
from demo.studio import Studio
from demo.tags import data as tag_data
from demo.tags import scene as tag_scene
from demo.tags.scene import TagView
from grafprint.explore.tag_evidence import ALL_EDGES, POOLED, SILENCED
from grafprint.tagging import ClipTagger
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE

CAFE = str(EXAMPLES / "cafe.opus")


@pytest.fixture(scope="module")
def view(studio: Studio, tagger: ClipTagger) -> TagView:
    shown = scene_of(studio, from_file(CAFE), None, "", "pink", 0.0)
    return tag_scene.view_clip(tagger, shown)


@pytest.fixture
def opened(shared_page: Page) -> Page:
    """The tab on the shared page, with the first label chosen and the pooled patches lit."""
    page = shared_page
    page.get_by_role("tab", name="Tags", exact=True).click()
    bars = page.locator(".gp-tags .bars button")
    expect(bars).to_have_count(min(tag_data.MOST_LABELS, bars.count() or 12), timeout=PATIENCE)
    bars.first.click()
    page.locator(".gp-tags [data-part=map]").press("End")
    return page


def test_the_page_gets_what_the_tagger_says(view: TagView, tagger: ClipTagger):
    value = json.loads(tag_data.value(view, tagger.features, "note"))
    clean = view.tags[0].probabilities
    assert value["labels"] == [tagger.labels[i] for i in value["numbers"]]
    np.testing.assert_allclose(
        value["probabilities"][0], clean[value["numbers"]], atol=1e-4, rtol=0
    )
    likely = np.maximum(*(tags.probabilities for tags in view.tags))
    assert likely[value["numbers"]].min() >= np.sort(likely)[-tag_data.MOST_LABELS :].min()
    assert [m["name"] for m in value["maps"]][-3:] == [ALL_EDGES, POOLED, SILENCED]
    for shown, evidence in zip(value["maps"], view.graphs[1].evidence, strict=True):
        light = np.array(shown["light"][1])
        assert light.shape == (len(value["labels"]), shown["rows"] * shown["columns"])
        lit = evidence.values[value["numbers"]]
        assert (light[lit <= 0] == 0).all()
        strongest = lit.max(axis=1) > 0
        assert (light.max(axis=1)[strongest] == 255).all()


def test_moments_cover_the_clip(view: TagView, tagger: ClipTagger):
    for moments in view.moments:
        assert moments.values.shape == (len(moments.middles_s), len(tagger.labels))
        assert moments.middles_s[0] == 1 and moments.middles_s[-1] == pytest.approx(6, abs=0.1)
        assert np.diff(moments.middles_s) == pytest.approx(1, abs=0.1)


@pytest.fixture(scope="module")
def shown(studio: Studio) -> Scene:
    """25 s of a track, and the same with noise."""
    library = studio.identifier().library
    clip = from_track(library, library.tracks()[0], 5.0, 25.0)
    return scene_of(studio, clip, None, "", "pink", 10.0)


def test_the_window_moves_and_stays_in_the_clip(tagger: ClipTagger, shown: Scene):
    first = tag_scene.view_clip(tagger, shown)
    assert len(first.sounds[0]) == tagger.window_samples
    last = tag_scene.move_window(tagger, shown, first, 99.0)
    assert last.start_s == pytest.approx(25 - tagger.window_s, abs=0.01)
    assert last.tags is first.tags and not np.array_equal(last.sounds[0], first.sounds[0])


def test_only_what_is_lit_is_heard(tagger: ClipTagger, shown: Scene):
    view = tag_scene.view_clip(tagger, shown)
    whole = tag_scene.sound(tagger, view, 0, 0, POOLED, lit=False)
    assert whole is view.sounds[0]
    first = next(e for e in view.graphs[0].evidence if e.name == "label block 1")
    lit = tag_scene.sound(tagger, view, 0, 0, "label block 1", lit=True)
    assert lit.shape == whole.shape and np.abs(lit).max() == pytest.approx(0.5, abs=1e-3)
    # Where no node is lit for a second, nothing is heard.
    shape = (view.graphs[0].spectrogram.shape[0], view.graphs[0].spectrogram.shape[1])
    dark = np.flatnonzero(first.on_spectrogram(0, shape).max(axis=0) == 0)
    hop = tagger.features.hop_length
    for frame in dark:
        if set(range(frame - 4, frame + 5)) <= set(dark) and (frame + 1) * hop <= len(lit):
            assert np.abs(lit[frame * hop : (frame + 1) * hop]).max() < 1e-4
    for side, label, name in ((2, 0, POOLED), (0, 999, POOLED), (0, -1, POOLED), (0, 0, "x")):
        with pytest.raises(ClipError):
            tag_scene.sound(tagger, view, side, label, name, lit=True)


def test_a_silent_clip_is_told(studio: Studio, tagger: ClipTagger):
    clip = from_file(CAFE)
    shown = scene_of(studio, clip, None, "", "pink", 0.0)
    silent = Scene(np.zeros_like(shown.clean), shown.degraded, shown.names, None)
    with pytest.raises(ClipError, match="silent"):
        tag_scene.view_clip(tagger, silent)


def test_a_label_lights_up_its_nodes(opened: Page):
    page = opened
    root = page.locator(".gp-tags")
    bars = page.locator(".gp-tags .bars button")
    expect(bars.first).to_have_attribute("aria-pressed", "true")
    before = page.locator(".gp-tags [data-part=canvas0]").evaluate("c => c.toDataURL()")
    bars.nth(3).focus()
    page.keyboard.press("Enter")
    expect(bars.nth(3)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".gp-tags [data-part=when]")).to_contain_text(
        bars.nth(3).locator(".name").inner_text()
    )
    page.locator(".gp-tags [data-part=map]").press("Home")
    expect(page.locator(".gp-tags [data-part=title]")).to_contain_text("Label block 1")
    lit = root.get_attribute("data-lit") or ""
    assert all(0 < int(count) <= 9 for count in lit.split(","))
    assert page.locator(".gp-tags [data-part=canvas0]").evaluate("c => c.toDataURL()") != before
    assert page.locator(".gp-tags polyline").count() == 2


def test_the_lit_part_is_played(opened: Page):
    page = opened
    sound = page.locator("#tags-sound audio")
    page.locator(".gp-tags [data-hear=all][data-side='0']").click()
    page.wait_for_function("document.querySelector('#tags-sound audio').duration > 6.9")
    whole = sound.get_attribute("src")
    page.locator(".gp-tags [data-hear=lit][data-side='1']").click()
    page.wait_for_function(
        "before => document.querySelector('#tags-sound audio').src !== before", arg=whole
    )


def test_another_degradation_can_be_chosen(opened: Page):
    page = opened
    page.locator("#tags-degraded input").click()
    page.get_by_role("option", name="White noise").click()
    expect(page.locator(".gp-tags [data-part=name1]")).to_contain_text(
        "white noise", timeout=PATIENCE
    )


def test_it_fits_a_phone(opened: Page):
    page = opened
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert before is not None
    page.set_viewport_size(before)


def test_the_endpoint_tags_a_clip(address: str, tagger: ClipTagger):
    client = Client(address, verbose=False)
    found = client.predict(handle_file(CAFE), 3, api_name="/tags")
    assert [tag["label"] for tag in found["tags"]] == [
        tag.label for tag in tagger.tag(from_file(CAFE).samples).tags(3)
    ]
    assert found["over_time"][0]["probabilities"].keys() == {t["label"] for t in found["tags"]}
