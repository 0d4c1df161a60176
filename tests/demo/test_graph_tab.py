"""The tab Graph in Chromium: nodes, blocks, colours, keyboard, saving; and its endpoint."""

import base64
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import gradio as gr
import networkx as nx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Locator, Page, expect
from scipy.io import wavfile

from demo import degraded
from demo.clips import Clip, ClipError, from_file
from demo.graph import data as graph_data
from demo.graph import plots as graph_plots
from demo.graph import scene as graph_scene
from demo.graph import tab as graph
from demo.graph.tab import Choice
from demo.scene import scene as scene_of
from demo.studio import Studio, Visit
from grafprint.explore import graphs
from grafprint.fingerprint import Fingerprinter
from tests.conftest import EXAMPLES
from tests.demo.conftest import PATIENCE


def part(page: Page, name: str) -> Locator:
    return page.locator(f".gp-graph [data-part={name}]")


def pictures(page: Page) -> list[str]:
    return [part(page, c).evaluate("c => c.toDataURL()") for c in ("canvas0", "canvas1")]


def choose_block(page: Page, number: int) -> None:
    """Move the block slider to a block (from 1 on) with the keyboard."""
    slider = part(page, "block")
    slider.press("Home")
    for _ in range(number - 1):
        slider.press("ArrowRight")
    expect(part(page, "title")).to_contain_text(f"block {number} of 12")


def open_graph(page: Page) -> Page:
    page.get_by_role("tab", name="Graph").click()
    expect(part(page, "title")).to_contain_text("block 1 of 12", timeout=PATIENCE)
    page.wait_for_function(
        "document.querySelector('.gp-graph canvas').toDataURL().length > 20000", timeout=PATIENCE
    )
    return page


@pytest.fixture
def opened(shared_page: Page) -> Page:
    """The tab on the shared page, on block 1, with the first options and no node selected."""
    page = shared_page
    if not part(page, "canvas0").is_visible():
        open_graph(page)
        expect(part(page, "node")).to_contain_text("edges to 3 nodes")  # of the middle node
    page.mouse.move(5, 5)
    choose_block(page, 1)
    for label in ("in-degree", "of the selected node"):
        page.locator(".gp-graph").get_by_label(label, exact=True).check()
    page.get_by_label("clean", exact=True).check()
    part(page, "canvas0").press("0")
    part(page, "canvas0").press("Escape")
    expect(part(page, "node")).to_contain_text("Click a node")
    return page


def click_node(page: Page, canvas: str, row: float, column: float, grid: tuple[int, int]) -> None:
    """Click the middle of a cell; the spectrogram has margins of 46, 4, 4 and 34 pixels."""
    box = part(page, canvas).bounding_box()
    assert box
    width, height = box["width"] - 50, box["height"] - 38
    place = {
        "x": 46 + (column + 0.5) / grid[1] * width,
        "y": 4 + (1 - (row + 0.5) / grid[0]) * height,
    }
    part(page, canvas).click(position=place)  # type: ignore[arg-type]


def saved(page: Page, label: str, tmp_path: Path) -> Path:
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=label, exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_click_on_a_node_highlights_its_neighbours_in_both_pictures(opened: Page):
    before = pictures(opened)
    click_node(opened, "canvas0", 12, 5, (32, 16))
    node = part(opened, "node")
    expect(node).to_contain_text(
        re.compile(
            r"Clean: node at [\d.]+ k?Hz, 0\.34 s: edges to 3 nodes at distances "
            r"\d\.\d\d, \d\.\d\d, \d\.\d\d; \d+ nodes? ha(s|ve) an edge to it .* "
            r"of its 3 edges survived"
        )
    )
    after = pictures(opened)
    assert after[0] != before[0] and after[1] != before[1]
    # A second click clears the selection.
    click_node(opened, "canvas0", 12, 5, (32, 16))
    opened.mouse.move(5, 5)
    expect(node).to_contain_text("Click a node")
    assert pictures(opened) == before


def test_hovering_shows_a_node_without_selecting_it(opened: Page):
    before = pictures(opened)
    part(opened, "canvas1").hover()
    expect(part(opened, "node")).to_contain_text("edges to 3 nodes")
    assert pictures(opened) != before
    opened.mouse.move(5, 5)
    expect(part(opened, "node")).to_contain_text("Click a node")
    assert pictures(opened) == before


def test_the_block_slider_goes_through_all_blocks(opened: Page):
    expected = {1: 512, 3: 128, 5: 32, 11: 8}
    share = part(opened, "share")
    for number, nodes in expected.items():
        before = pictures(opened)
        choose_block(opened, number)
        expect(part(opened, "title")).to_contain_text(f": {nodes} nodes")
        expect(share).to_contain_text(f"% of this block's {3 * nodes} edges survived")
        assert number == 1 or pictures(opened) != before
    for name in ("time", "mel", "time-depth", "mel-depth"):
        assert part(opened, name).locator("svg[role=img][aria-label]").is_visible()


def test_colours_and_edges_change_the_pictures_and_their_legend(opened: Page):
    choose_block(opened, 3)
    seen = [pictures(opened)]
    for label in ("cluster", "change", "all"):
        opened.locator(".gp-graph").get_by_label(label, exact=True).check()
        seen.append(pictures(opened))
    assert len({pair[0] for pair in seen}) == len({pair[1] for pair in seen}) == 4
    expect(part(opened, "scale")).to_contain_text(re.compile(r"\d+ % +\d+ %"))


def test_the_keyboard_moves_from_node_to_node(opened: Page):
    choose_block(opened, 11)  # 4 rows, 2 columns
    canvas, node = part(opened, "canvas1"), part(opened, "node")
    canvas.focus()
    canvas.press("ArrowUp")  # the first key selects the middle
    expect(node).to_contain_text("0.75 s")
    first, high = node.inner_text(), pictures(opened)
    canvas.press("ArrowLeft")
    expect(node).to_contain_text("0.24 s")
    assert pictures(opened) != high
    canvas.press("ArrowRight")
    assert node.inner_text() == first
    for _ in range(5):
        canvas.press("ArrowDown")
    expect(node).to_contain_text(re.compile(r"node at \d\d\d Hz"))
    # It keeps its place on a finer grid.
    choose_block(opened, 1)
    expect(node).to_contain_text(re.compile(r"node at \d\d\d Hz, 0\.7\d s"))
    part(opened, "canvas0").press("Escape")
    expect(node).to_contain_text("Click a node")


def test_the_slider_shows_another_second_of_the_clip(opened: Page):
    for second in ("4", "0"):
        before = pictures(opened)
        opened.locator("#graph-second input[type=number]").fill(second)
        opened.locator("#graph-second input[type=number]").press("Enter")
        opened.wait_for_function(
            "old => document.querySelector('.gp-graph canvas').toDataURL() !== old",
            arg=before[0],
            timeout=PATIENCE,
        )
        expect(part(opened, "title")).to_contain_text("block 1 of 12")


def heard(page: Page, name: str) -> np.ndarray:
    """The sound that a button plays."""
    before = page.locator("#graph-sound audio").evaluate("audio => audio.src")
    page.get_by_role("button", name=name).click()
    page.wait_for_function(
        "before => document.querySelector('#graph-sound audio').src !== before",
        arg=before,
        timeout=PATIENCE,
    )
    source = page.locator("#graph-sound audio").evaluate("audio => audio.src")
    rate, samples = wavfile.read(io.BytesIO(base64.b64decode(source.split(",")[1])))
    assert rate == 16_000
    return np.asarray(samples, np.float64)


def test_the_second_and_the_patch_of_a_node_are_heard(opened: Page, studio: Studio):
    shown = scene_of(studio, None, None, "")
    for side, samples in (("clean", shown.clean), ("degraded", shown.degraded)):
        played = heard(opened, f"Hear this second, {side}")
        assert np.corrcoef(played, samples[:16_000])[0, 1] > 0.999
    patch = opened.get_by_role("button", name="Hear the patch of the selected node, clean")
    expect(patch).to_be_disabled()
    choose_block(opened, 11)
    click_node(opened, "canvas0", 3, 1, (4, 2))
    played = heard(opened, "Hear the patch of the selected node, clean")
    power = np.abs(np.fft.rfft(played)) ** 2
    high = np.fft.rfftfreq(len(played), 1 / 16_000) > 2500
    assert 7000 < len(played) < 9000 and power[high].sum() > 0.95 * power.sum()


def test_zooming_shows_less_and_dragging_moves_it(opened: Page):
    before, root = pictures(opened), opened.locator(".gp-graph")
    for _ in range(2):
        opened.get_by_role("button", name="Zoom in", exact=True).locator("visible=true").click()
    expect(root).to_have_attribute("data-zoom", "2.25")
    zoomed = pictures(opened)
    box = part(opened, "canvas0").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.mouse.move(x, y)
    opened.mouse.down()
    opened.mouse.move(x + 60, y + 30, steps=4)
    opened.mouse.up()
    opened.mouse.move(5, 5)
    moved = pictures(opened)
    assert len({before[0], zoomed[0], moved[0]}) == len({before[1], zoomed[1], moved[1]}) == 3
    expect(part(opened, "node")).to_contain_text("Click a node")  # a drag is no click
    # The keys bring a node into view, and a click finds what is drawn.
    part(opened, "canvas0").press("ArrowUp")
    expect(part(opened, "node")).to_contain_text("edges to 3 nodes")
    part(opened, "canvas0").press("0")
    part(opened, "canvas0").press("Escape")
    opened.mouse.move(5, 5)
    assert pictures(opened) == before


def test_edges_stay_inside_the_axes(opened: Page):
    """Of the margins, only the labels change: they are the same with and without edges."""
    margins = """canvas => {
        const [pen, w, h] = [canvas.getContext('2d'), canvas.width, canvas.height];
        const boxes = [[0, 0, 46, h], [0, h - 34, w, 34], [0, 0, w, 4], [w - 4, 0, 4, h]];
        return boxes.map((box) => [...pen.getImageData(...box).data].join()).join();
    }"""
    for block in (1, 12):
        choose_block(opened, block)
        both = []
        for edges in ("of the selected node", "all"):
            opened.locator(".gp-graph").get_by_label(edges, exact=True).check()
            both.append([part(opened, c).evaluate(margins) for c in ("canvas0", "canvas1")])
        assert both[0] == both[1]


def test_the_degradation_is_chosen_here(opened: Page):
    name, before = part(opened, "name1"), pictures(opened)
    for option, caption in (
        ("Pink noise", "synthetic pink noise, 5 dB SNR"),
        ("Car radio", "car radio"),
        ("As on Degrade", "synthetic babble, 5 dB SNR"),
    ):
        opened.locator("#graph-degraded input").click()
        opened.get_by_role("option", name=option).click()
        expect(name).to_have_text(f"Degraded: {caption}", timeout=PATIENCE)
        slider = expect(opened.locator("#graph-snr"))
        (slider.to_be_visible if option == "Pink noise" else slider.to_be_hidden)()
    opened.mouse.move(5, 5)
    opened.wait_for_function(
        "before => document.querySelector('.gp-graph [data-part=canvas1]').toDataURL() === before",
        arg=before[1],
    )


@pytest.mark.parametrize("value", [value for _, value in degraded.choices()])
def test_every_choice_degrades_a_clip(studio: Studio, value: str):
    clip = from_file(str(EXAMPLES / "cafe.opus"))
    own = Clip(clip.samples[::-1].copy(), "own")
    shown = scene_of(studio, clip, own, "", value, 0.0)
    assert len(shown.degraded) == len(shown.clean) and shown.origin is clip
    assert (shown.names[1] == "Degraded: own") == (value == degraded.OWN)
    assert not np.allclose(shown.degraded, shown.clean, atol=0.01)


def test_a_choice_that_does_not_exist_is_refused(studio: Studio):
    for kind, level in (("nothing", 5.0), ("pink", "loud"), (None, 5.0)):
        with pytest.raises(ClipError):
            degraded.plan(kind, level)


def test_the_visitors_clip_is_shown(new_page: Page):
    new_page.get_by_text("At a loud party").first.click()
    expect(new_page.locator("#answer .gp-card.found")).to_be_visible(timeout=PATIENCE)
    open_graph(new_page)
    expect(part(new_page, "name0")).to_have_text("Clean: party.opus")
    expect(part(new_page, "name1")).to_have_text("Degraded: synthetic babble, 5 dB SNR")


def test_graphml_and_json_contain_the_block_shown(opened: Page, studio: Studio, tmp_path: Path):
    choose_block(opened, 5)
    shown = scene_of(studio, None, None, "")
    view = graph_scene.view_segment(studio.fingerprinter, shown, 0.0)
    clean, degraded = (graphs[4] for graphs in view.graphs)
    read = nx.read_graphml(saved(opened, "GraphML", tmp_path), node_type=int)
    assert set(read.edges) == {(a, b) for a, b in clean.edges}
    opened.get_by_label("degraded", exact=True).check()
    path = saved(opened, "JSON", tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    read = nx.node_link_graph(data, edges="edges")
    assert set(read.edges) == {(a, b) for a, b in degraded.edges}
    assert path.name == "graph-0.00s-block-5-degraded.json"


def test_pictures_are_saved_as_png_and_svg(opened: Page, tmp_path: Path):
    click_node(opened, "canvas0", 12, 5, (32, 16))
    png = saved(opened, "Picture (PNG)", tmp_path).read_bytes()
    assert png.startswith(b"\x89PNG") and len(png) > 50_000
    opened.locator(".gp-graph").get_by_label("cluster", exact=True).check()
    text = saved(opened, "Picture (SVG)", tmp_path).read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "block 1 of 12" in text and "cluster" in text and "edges survived" in text
    # The scale is that of the page: whole numbers from 1 on, not the limits of the colours.
    texts = [element.text for element in ElementTree.fromstring(text).iter() if element.text]
    assert not {"-0.5", "−0.5", "4.5"} & set(texts) and set("12345") <= set(texts)


def test_the_scales_of_saved_pictures_are_those_of_the_page(view: graph_scene.SegmentView):
    clean, degraded = (graphs[0] for graphs in view.graphs)
    both = np.concatenate([clean.degree, degraded.degree])
    ticks = graph_plots.scale_ticks(clean, degraded, "degree")
    assert next(iter(ticks.values())) == str(both.min())
    assert list(ticks.values())[-1] == str(both.max())
    both = np.concatenate([clean.change, degraded.change])
    names = list(graph_plots.scale_ticks(clean, degraded, "change").values())
    assert names[0] == f"{both.min():.0%}".replace("%", " %") and names[-1].endswith(" %")
    names = list(graph_plots.scale_ticks(clean, degraded, "cluster").values())
    assert names == [str(c + 1) for c in range(clean.cluster.max() + 1)]


def test_sounds_that_do_not_exist_are_refused(view: graph_scene.SegmentView, studio: Studio):
    features = studio.fingerprinter.features
    for side, block, node in ((2, 0, 1), (-1, 0, 1), (0, 12, 1), (0, 0, 512), (0, 0, -1)):
        with pytest.raises(ClipError, match="no such node"):
            graph_scene.sound(view, side, block, node, features)


def test_it_fits_a_phone(chromium: Browser, address: str):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    open_graph(page)
    boxes = [part(page, c).bounding_box() for c in ("canvas0", "canvas1")]
    assert boxes[0] and boxes[1] and boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
    part(page, "canvas0").tap()
    expect(part(page, "node")).to_contain_text("edges to 3 nodes")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_api_returns_the_graph_that_the_encoder_used(address: str, studio: Studio):
    client = Client(address, verbose=False)
    clip = str(EXAMPLES / "cafe.opus")
    data = client.predict(handle_file(clip), 1.5, 12, api_name="/graph")
    fingerprinter = studio.fingerprinter
    inputs = graphs.segment(fingerprinter, from_file(clip).samples, 1.5)
    block = fingerprinter.graphs(inputs)[1][-1]
    read = nx.node_link_graph(data, edges="edges")
    for node, neighbours in enumerate(block.graph.neighbours[0].tolist()):
        assert sorted(read.successors(node)) == sorted(neighbours)
    with pytest.raises(Exception, match="blocks 1 to 12"):
        client.predict(handle_file(clip), 0, 13, api_name="/graph")


def test_the_visitors_degraded_clip_is_compared(studio: Studio):
    clip = from_file(str(EXAMPLES / "cafe.opus"))
    noise = np.random.default_rng(0).normal(0, 0.1, len(clip.samples)).astype(np.float32)
    shown = scene_of(studio, clip, Clip(clip.samples + noise, "with hiss"), "")
    assert shown.names == ("Clean: cafe.opus", "Degraded: with hiss")
    view = graph_scene.view_segment(studio.fingerprinter, shown, 99.0)
    assert view.start_s == pytest.approx(shown.last_s, abs=0.1)
    value = json.loads(graph_data.value(view, studio.fingerprinter.features))
    assert 0.1 < value["blocks"][0]["share"] < 1
    assert sum(value["blocks"][0]["sides"][0]["time"]) == pytest.approx(1, abs=0.01)
    with pytest.raises(ClipError, match="at least 1 s"):
        scene_of(studio, Clip(clip.samples[:8000], "short"), None, "")


@pytest.fixture(scope="module")
def view(studio: Studio) -> graph_scene.SegmentView:
    shown = scene_of(studio, None, None, "")
    return graph_scene.view_segment(studio.fingerprinter, shown, 1.0)


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"block": 2, "colour": "change", "edges": "node", "node": 7}', Choice(2, "change", 7)),
        (
            '{"block": 2, "colour": "cluster", "edges": "all", "node": 7}',
            Choice(2, "cluster", None),
        ),
        ('{"block": 99, "colour": "../x", "node": 8}', Choice(11, "degree", None)),
        ('{"block": [], "node": "a"}', Choice(0, "degree", None)),
        ('{"block": 1e999}', Choice(0, "degree", None)),
        ("[1", Choice(0, "degree", None)),
        (None, Choice(0, "degree", None)),
    ],
)
def test_choices_that_do_not_fit_become_the_defaults(
    view: graph_scene.SegmentView, text: str | None, expected: Choice
):
    assert Choice.parse(text, view) == expected


def test_the_tab_says_when_a_network_builds_no_graphs(studio: Studio):
    other = Studio(Fingerprinter.untrained(encoder="nafp"), studio.home)
    with gr.Blocks() as page, gr.Tab("Graph") as tab:
        graph.build(other, Visit.begin(studio), tab)
    assert "builds no graphs" in str(page.get_config_file())
