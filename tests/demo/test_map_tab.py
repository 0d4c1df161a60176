"""The tab Map in Chromium: hover, click, keys, colours, paths, drawing and saving a map."""

import base64
import csv
import io
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from scipy.io import wavfile

from demo import clips, plots, texts
from demo.clips import ClipError
from demo.map import passages, trails
from demo.map.chart import Chart, palette, shades
from demo.map.maps import Maps
from demo.studio import Studio
from grafprint import audio
from grafprint.library import LibraryError
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE

FILL = 0.94  # share of the canvas that the whole map takes
STRETCH = 1.6  # at most, of one axis over the other
POINTS, OVER = ".gp-map-points", ".gp-map-over"
PLAYER = "#map-player a[download]"


@pytest.fixture(scope="module")
def chart(studio: Studio) -> Chart:
    chart = Maps(studio).find("library")
    assert chart is not None
    return chart


def open_map(page: Page, trails: int = 1) -> None:
    """Open the tab and wait for the map and its paths."""
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector(f".gp-map[data-points][data-trails='{trails}']", timeout=PATIENCE)
    page.locator(OVER).scroll_into_view_if_needed()


@pytest.fixture
def map_tab(shared_page: Page) -> Page:
    """The tab on the shared page: the whole map by track, nothing highlighted or selected."""
    page = shared_page
    open_map(page)
    page.mouse.move(5, 5)
    page.get_by_label("Colour by track").check()
    page.wait_for_selector(".gp-map[data-by=track]")
    page.locator(".gp-map-tools input").fill("")
    page.get_by_role("button", name="All", exact=True).click()
    page.locator(OVER).press("Escape")
    page.mouse.move(5, 5)
    return page


def picture(page: Page, canvas: str = POINTS) -> str:
    """What is drawn on a canvas after the next frame, as a data URL."""
    url = page.evaluate(
        """name => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
            () => done(document.querySelector(name).toDataURL()))))""",
        canvas,
    )
    return str(url)


def picture_after(page: Page, action: Callable[[], object]) -> str:
    """Do what changes the points, wait for the change, and return what is drawn then."""
    before = picture(page)
    action()
    page.wait_for_function(
        "([name, before]) => document.querySelector(name).toDataURL() !== before",
        arg=[POINTS, before],
        timeout=PATIENCE,
    )
    return picture(page)


def pixels(picture: str) -> np.ndarray:
    """The pixels of a data URL, [height, width, 4]."""
    with Image.open(io.BytesIO(base64.b64decode(picture.split(",")[1]))) as image:
        return np.asarray(image.convert("RGBA"), np.int16)


def play(page: Page, action: Callable[[], object]) -> str:
    """Do what plays a point, and return the address of its sound once the player has it."""
    link = page.locator(PLAYER)
    before = link.get_attribute("href") if link.count() else None
    action()
    page.wait_for_function(
        "([name, before]) => ![null, undefined, before].includes("
        "document.querySelector(name)?.getAttribute('href'))",
        arg=[PLAYER, before],
        timeout=PATIENCE,
    )
    return link.get_attribute("href") or ""


def on_page(page: Page, chart: Chart, points: np.ndarray | int) -> np.ndarray:
    """Where points of the whole map are on the page, [..., 2]."""
    box = page.locator(OVER).bounding_box()
    assert box
    size, xy = np.array([box["width"], box["height"]]), chart.drawn.xy
    scale = FILL * size / xy.max(axis=0)
    scale = np.minimum(scale, STRETCH * scale[::-1])
    corner = np.array([box["x"], box["y"]])
    return corner + size / 2 + (xy[points] - xy.max(axis=0) / 2) * scale


def lonely(page: Page, chart: Chart) -> tuple[int, float, float]:
    """The point farthest from all others, and its place on the page."""
    xy = chart.drawn.xy
    some = np.random.default_rng(0).choice(len(xy), 1000, replace=False)
    apart = np.linalg.norm(xy[some, None] - xy, axis=2)
    point = int(some[np.argmax(np.partition(apart, 1, axis=1)[:, 1])])
    x, y = on_page(page, chart, point)
    return point, x, y


def test_hovering_shows_the_track_and_clicking_plays_that_second(map_tab: Page, chart: Chart):
    page = map_tab
    point, x, y = lonely(page, chart)
    page.mouse.move(x, y)
    track, second = chart.tracks[chart.track[point]], chart.hops[point] * chart.library.hop_s
    label = f"{track.title}, {track.artist}, at {int(second) // 60}:{int(second) % 60:02d}"
    expect(page.locator(".gp-map-tip")).to_have_text(label)
    expect(page.locator(".gp-map-line")).to_have_text(label)
    link = play(page, lambda: page.mouse.click(x, y))
    rate, played = wavfile.read(io.BytesIO(page.request.get(link).body()))
    path = chart.library.audio_path(track)
    assert path is not None and len(played) / rate == pytest.approx(5, abs=0.01)
    original = audio.load(path, start_s=second, duration_s=5)
    assert np.corrcoef(played, original)[0, 1] > 0.99


def test_the_colours_show_track_artist_time_or_density(map_tab: Page):
    page = map_tab
    pictures = [picture(page)]
    for name in ("By artist", "By time in the track", "By density"):
        pictures.append(picture_after(page, page.get_by_label(name).click))
    assert len(set(pictures)) == 4
    expect(page.locator(".gp-map-key")).to_have_text(re.compile("few points.*many"))


def test_the_map_fills_its_frame(map_tab: Page):
    seen = pixels(picture(map_tab))[:, :, 3] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert np.ptp(rows) > 0.85 * seen.shape[0] and np.ptp(columns) > 0.85 * seen.shape[1]


def test_regions_are_named_and_more_of_them_when_zoomed_in(map_tab: Page, chart: Chart):
    page = map_tab
    titles = {track.title for track in chart.tracks}
    albums = {track.album for track in chart.tracks}
    names = json.loads(page.locator(".gp-map").get_attribute("data-names") or "")
    assert len(names) > 15 and set(names) & albums and set(names) <= titles | albums
    page.get_by_role("button", name="Names").click()
    expect(page.locator(".gp-map")).to_have_attribute("data-names", "[]")
    page.get_by_role("button", name="Names").click()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    # Close up, tracks are named and albums no longer.
    page.wait_for_function(
        """titles => {
          const names = JSON.parse(document.querySelector('.gp-map').dataset.names)
          return names.length && names.every(name => titles.includes(name))
        }""",
        arg=sorted(titles),
    )


def test_the_density_can_be_hidden(map_tab: Page):
    density = map_tab.locator(".gp-map-density")
    assert (pixels(picture(map_tab, ".gp-map-density"))[:, :, 3] > 0).mean() > 0.1
    map_tab.get_by_role("button", name="Density", exact=True).click()
    expect(density).to_be_hidden()
    map_tab.get_by_role("button", name="Density", exact=True).click()
    expect(density).to_be_visible()


def test_the_points_in_a_lasso_are_listed_and_exported(map_tab: Page, chart: Chart, tmp_path: Path):
    page = map_tab
    track = next(i for i, track in enumerate(chart.tracks) if track.title == "Azum")
    own = np.flatnonzero(chart.track == track)
    places = on_page(page, chart, own)
    (left, top), (right, bottom) = places.min(axis=0) - 4, places.max(axis=0) + 4
    page.get_by_role("button", name="Lasso").click()
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(x, y, steps=3)
    page.mouse.up()
    expect(page.locator(".gp-map-chosen h4")).to_have_text("771 points of 1 track")
    expect(page.locator(".gp-map-table tbody tr")).to_have_text(
        "AzumDeceased Superior Technician0:00–1:14771"
    )
    expect(page.get_by_role("button", name="Lasso")).to_have_attribute("aria-pressed", "false")
    saved = {}
    for kind in ("csv", "json"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind.upper(), exact=True).click()
        assert waiting.value.suggested_filename == f"selection.{kind}"
        waiting.value.save_as(tmp_path / kind)
        saved[kind] = (tmp_path / kind).read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(saved["csv"]))
    (listed,) = json.loads(saved["json"])["tracks"]
    assert int(row["track"]) == listed["id"] == chart.tracks[track].id
    assert (row["title"], listed["title"], listed["points"]) == ("Azum", "Azum", 771)
    assert [float(row["from_s"]), float(row["to_s"])] == listed["passages"][0]
    assert listed["passages"][0][1] == pytest.approx(chart.tracks[track].duration_s, abs=0.1)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".gp-map-chosen")).to_be_hidden()
    page.locator(OVER).press("l")  # without a pointer: all that is in view
    expect(page.locator(".gp-map-chosen h4")).to_have_text("24,227 points of 32 tracks")


def test_a_points_neighbours_are_listed_and_lead_on(map_tab: Page, chart: Chart):
    page = map_tab
    point, x, y = lonely(page, chart)
    page.mouse.click(x, y)
    entries = page.locator(".gp-map-nearest li")
    expect(entries).to_have_count(8, timeout=PATIENCE)
    points, similar = chart.placer.nearest(point, 8, 3)
    track = chart.tracks[chart.track[points[0]]]
    second = int(chart.hops[points[0]] * chart.library.hop_s)
    expect(entries.first).to_have_text(
        re.compile(rf"^{re.escape(track.title)}, .*at \d:\d\d{similar[0]:.2f}$")
    )
    entries.first.get_by_role("button").click()  # while the point itself may still be loading
    expect(page.locator("#map-player")).to_contain_text(
        f"{track.title}, from {texts.clock(second)} on", timeout=PATIENCE
    )
    expect(page.locator(".gp-map-point h4")).to_contain_text(track.title)


def test_a_passage_opens_in_graph_and_identify(new_page: Page, chart: Chart):
    page = new_page
    open_map(page)
    point, x, y = lonely(page, chart)
    page.mouse.click(x, y)
    other = next(
        p for p in chart.placer.nearest(point, 8, 3)[0] if chart.track[p] != chart.track[point]
    )
    for passage in (point, other):  # the second time a clip is already there
        track = chart.tracks[chart.track[passage]]
        if passage == other:
            page.locator(".gp-map-nearest button", has_text=track.title).first.click()
        page.get_by_role("button", name="Open in Identify").click()
        answer = page.locator("#answer .gp-card.found")
        expect(answer).to_contain_text(track.title, timeout=PATIENCE)
        page.get_by_role("tab", name="Map").click()
    expect(page.locator("#map-paths")).to_contain_text(track.title, timeout=PATIENCE)
    page.get_by_role("button", name="Open in Graph").click()
    name = page.locator(".gp-graph [data-part=name0]")
    expect(name).to_have_text(f"Clean: {track.title}", timeout=PATIENCE)


@pytest.mark.parametrize("wanted", [(1, -1), (99, 0), ("x", 0), (None, None), (1, 1e400)])
def test_a_passage_that_does_not_exist_is_refused(chart: Chart, wanted: tuple[object, object]):
    track, hop = wanted
    if wanted == (1, -1):
        assert passages.cut(chart.library, track, hop, 1.0).offset_s == 0
        return
    with pytest.raises((ClipError, LibraryError)):
        passages.cut(chart.library, track, hop, 1.0)
    with pytest.raises(ClipError, match="no such point"):
        passages.nearest(chart, None if track is None else -1)


def test_a_passages_file_has_a_name_that_every_system_takes(chart: Chart):
    clip = replace(passages.cut(chart.library, 12, 400, 2.0), name='a/b: "c"?')
    file = passages.to_file(clip)
    assert file["name"] == "a b   c 0.38.wav"
    rate, samples = wavfile.read(io.BytesIO(base64.b64decode(file["uri"].split(",")[1])))
    assert len(samples) == 2 * rate


def test_the_path_of_a_clip_is_drawn(new_page: Page):
    open_map(new_page)
    expect(new_page.locator("#map-paths")).to_contain_text("Example, cafe.opus")
    new_page.get_by_role("tab", name="Identify").click()
    new_page.locator("#clip").get_by_role("button", name="Upload file").click()
    new_page.locator("#clip input[type=file]").first.set_input_files(EXAMPLES / "engine.opus")
    expect(new_page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE)
    new_page.get_by_role("tab", name="Map").click()
    words = new_page.locator("#map-paths")
    expect(words).to_contain_text("Your clip, engine.opus", timeout=PATIENCE)
    expect(words).to_contain_text("nearest to Randomness Decides")
    teal = np.array([0x0D, 0x94, 0x88, 0xFF])
    assert (np.abs(pixels(picture(new_page, OVER)) - teal).max(axis=2) < 8).sum() > 20


def test_wheel_drag_and_buttons_move_the_view(new_page: Page):
    open_map(new_page)
    box = new_page.locator(OVER).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag() -> None:
        new_page.mouse.move(x, y)
        new_page.mouse.down()
        new_page.mouse.move(x + 60, y + 30, steps=4)
        new_page.mouse.up()

    pictures = [picture(new_page)]
    new_page.mouse.move(x, y)
    pictures.append(picture_after(new_page, lambda: new_page.mouse.wheel(0, -400)))
    pictures.append(picture_after(new_page, drag))
    pictures.append(picture_after(new_page, new_page.get_by_role("button", name="Zoom out").click))
    assert all(a != b for a, b in itertools.pairwise(pictures))
    new_page.get_by_role("button", name="All", exact=True).click()
    assert picture(new_page) == pictures[0]
    expect(new_page.locator(PLAYER)).not_to_be_attached()  # a drag is no click


def test_the_map_can_be_used_with_the_keyboard(map_tab: Page, chart: Chart):
    page = map_tab
    page.locator(OVER).focus()
    for key in ("+", "+", "ArrowLeft", "ArrowDown", "-", "0"):
        page.keyboard.press(key)
    line = page.locator(".gp-map-line")
    for _ in range(30):  # to the left until there is a point in the middle
        page.keyboard.press("ArrowLeft")
        if page.locator(".gp-map-tip").is_visible():
            break
    assert any(line.inner_text().startswith(track.title) for track in chart.tracks)
    play(page, lambda: page.keyboard.press("Enter"))
    expect(page.locator(PLAYER)).to_be_attached()


def test_a_track_can_be_highlighted(map_tab: Page):
    page = map_tab
    before = picture(page)
    page.locator(".gp-map-tools input").fill("classic")
    expect(page.locator(".gp-map-line")).to_have_text("1 of 32 tracks match.")
    assert picture(page) != before
    page.locator(".gp-map-key button", has_text="Musicbox").click()
    expect(page.locator(".gp-map-key [aria-pressed=true]")).to_have_count(1)
    page.locator(".gp-map-key button", has_text="Musicbox").click()
    assert picture(page) == before


def test_an_emptied_search_shows_all_again(map_tab: Page):
    page, search = map_tab, map_tab.locator(".gp-map-tools input")
    before, line = picture(page), page.locator(".gp-map-line")
    search.fill("no such track")
    expect(line).to_have_text("0 of 32 tracks match.")
    assert picture(page) != before
    search.fill("")
    expect(line).to_contain_text("Each point is a second of music")
    assert picture(page) == before


@pytest.mark.parametrize("kind, begins", [("PNG", b"\x89PNG"), ("SVG", b"<?xml"), ("CSV", b"x,y")])
def test_the_map_can_be_saved(map_tab: Page, tmp_path: Path, kind: str, begins: bytes):
    with map_tab.expect_download(timeout=PATIENCE) as waiting:
        map_tab.get_by_role("button", name=f"Save {kind}").click()
    waiting.value.save_as(tmp_path / "map")
    assert waiting.value.suggested_filename == f"map by track.{kind.lower()}"
    assert (tmp_path / "map").read_bytes().startswith(begins)


def test_it_fits_a_phone(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    open_map(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_api_returns_places_and_files(address: str, chart: Chart):
    client = Client(address, verbose=False)
    segments = client.predict(handle_file(str(EXAMPLES / "cafe.opus")), "", api_name="/map_place")
    assert len(segments) > 50
    right = [
        abs(segment["track_second"] - 31.3 - segment["second"]) < 0.2
        for segment in segments
        if segment["track"] == "Musicbox"
    ]
    # These are noisy segments, so not all are right; with bfloat16 others are.
    assert len(right) > 0.8 * len(segments) and np.mean(right) > 0.5
    xy = np.array([[segment["x"], segment["y"]] for segment in segments])
    own = chart.drawn.xy[[chart.tracks[t].title == "Musicbox" for t in chart.track]]
    assert np.median(np.linalg.norm(xy[:, None] - own, axis=2).min(axis=1)) < 0.01
    file = client.predict("csv", "track", "", api_name="/map_export")
    rows = list(csv.DictReader(Path(file).read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(chart.drawn) and rows[0]["track"] == chart.tracks[0].title


def test_a_clip_and_its_degraded_version_have_different_paths(studio: Studio, chart: Chart):
    clip = clips.from_track(chart.library, chart.tracks[3], 20.0, 3.0)
    noise = np.random.default_rng(4).normal(0, 0.05, len(clip.samples)).astype(np.float32)
    degraded = replace(clip, samples=clip.samples + noise)
    both = trails.of_visit(studio, chart, clip, degraded)
    assert [trail.colour for trail in both] == [plots.TEAL, plots.AMBER]
    assert (both[0].xy != both[1].xy).any()
    assert chart.tracks[3].title in trails.words(chart, both[:1])
    short = replace(clip, samples=clip.samples[:8000])
    assert trails.of_visit(studio, chart, short, None) == []


def test_colours_are_visible_on_white_and_black_and_do_not_depend_on_the_count():
    linear = (np.concatenate([palette(200), shades()]) / 255) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (1.05 / (luminance + 0.05)).min() > 2.4 and ((luminance + 0.05) / 0.05).min() > 3
    assert (palette(200)[:10] == palette(10)).all()
    assert len(np.unique(palette(32), axis=0)) == 32
