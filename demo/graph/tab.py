"""The tab Graph: explore and save the graphs that the network builds for a second of sound."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo import clips, downloads, player
from demo import degraded as degraded_by
from demo import scene as scenes
from demo.clips import Clip, ClipError
from demo.graph import data as graph_data
from demo.graph import plots as graph_plots
from demo.graph import scene as graph_scene
from demo.graph.scene import SegmentView
from demo.scene import Scene
from demo.studio import FORGET_S, Studio, Visit
from demo.texts import problem_note
from grafprint.explore import graph_export, graphs
from grafprint.explore.graphs import compare

_HERE = Path(__file__).parent
_HTML = (_HERE / "graph.html").read_text(encoding="utf-8")
_SCRIPT = "".join(
    (_HERE / f"{name}.js").read_text(encoding="utf-8")
    for name in ("graph_draw", "graph_lengths", "graph", "graph_view")
)
COLOURINGS = ("degree", "cluster", "change")
KINDS = {"Picture (PNG)": "png", "Picture (SVG)": "svg", "GraphML": "graphml", "JSON": "json"}
SIDES = ("clean", "degraded")
GRAPH_LIMIT: dict[str, Any] = {"concurrency_id": "graph", "concurrency_limit": 2}
# The browser's choice is read only when something is saved.
_CHOICE = "(view, side) => [view, side, document.querySelector('.gp-graph').dataset.choice]"
_FETCH = "() => document.querySelector('#graph-file').click()"


@dataclass(frozen=True)
class Choice:
    """What the browser shows: a block, a colouring, and the node whose edges are shown, or None."""

    block: int
    colour: str
    node: int | None

    @classmethod
    def parse(cls, text: str | None, view: SegmentView) -> Choice:
        """Read the browser's choice; values that do not fit the graphs become the defaults."""
        try:
            given = json.loads(text or "{}")
            block, node = int(given.get("block", 0)), given.get("node")
        except (ValueError, TypeError, AttributeError, OverflowError):
            given, block, node = {}, 0, None
        block = min(max(0, block), len(view.graphs[0]) - 1)
        if given.get("edges") == "all" or not isinstance(node, int):
            node = None
        if node is not None and not 0 <= node < view.graphs[0][block].nodes:
            node = None
        colour = given.get("colour")
        return cls(block, colour if colour in COLOURINGS else COLOURINGS[0], node)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    fingerprinter = studio.fingerprinter
    if not fingerprinter.makes_graphs:
        gr.HTML(
            "<p>The network in use builds no graphs, so there is nothing to show here.</p>",
            elem_id="no-graph",
        )
        return

    def draw(shown: Scene | None, start_s: float) -> tuple[SegmentView | None, str]:
        if shown is None:
            return None, problem_note("choose a clip on Identify first")
        view = graph_scene.view_segment(fingerprinter, shown, start_s)
        return view, graph_data.value(view, fingerprinter.features)

    def open_clip(
        clip: Clip | None,
        degraded: Clip | None,
        library: str,
        start_s: float,
        how: str,
        snr_db: float,
        before: Scene | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Scene | None, Any, SegmentView | None, str]:
        progress(0.1, "Computing the graphs")
        try:
            shown = scenes.scene(studio, clip, degraded, library, how, snr_db)
        except ClipError as error:
            return None, gr.skip(), None, problem_note(str(error))
        same = before is None or before.origin is shown.origin
        start_s = min(start_s, shown.last_s) if same else 0
        # Gradio cannot draw a slider whose minimum is its maximum.
        slider = gr.update(maximum=max(0.1, shown.last_s), value=start_s)
        return shown, slider, *draw(shown, start_s)

    def hear(view: SegmentView | None, event: gr.EventData) -> str:
        try:
            if view is None:
                raise ClipError("choose a clip first")
            side, block, node = (event._data.get(key) for key in ("side", "block", "node"))
            node = None if node is None else int(node)
            heard = graph_scene.sound(view, int(side), int(block), node, fingerprinter.features)
        except (ClipError, TypeError, ValueError, OverflowError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        return player.value(heard)

    def graph(path: str, second: float = 0.0, block: int = 1) -> dict[str, Any]:
        """The graph of a block (1, 2, ...) for the segment of a clip that begins at a second.

        Node-link JSON; read it with networkx.node_link_graph(data, edges="edges").
        """
        try:
            samples = clips.from_file(path).samples
            inputs = graphs.segment(fingerprinter, samples, float(second or 0))
        except (ClipError, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        blocks = graphs.inspect(fingerprinter, inputs)[1][0]
        number = int(1 if block is None else block)
        if not 1 <= number <= len(blocks):
            raise gr.Error(f"there are blocks 1 to {len(blocks)}", print_exception=False)
        return graph_export.to_json(graph_export.to_networkx(blocks[number - 1]))

    with gr.Row():
        second = gr.Slider(
            0,
            9,
            0,
            step=0.1,
            label="Second of the clip",
            info="The segment of 1 s that begins here is shown.",
            min_width=280,
            scale=3,
            elem_id="graph-second",
        )
        how, snr = degraded_by.build("graph")
    canvas = gr.HTML("", html_template=_HTML, js_on_load=_SCRIPT, elem_id="graph", padding=False)
    sound = player.build("graph-sound")
    scene = gr.State(None, time_to_live=FORGET_S)
    view = gr.State(None, time_to_live=FORGET_S)
    private: dict[str, Any] = {"api_visibility": "private", **GRAPH_LIMIT}
    opening: dict[str, Any] = {
        "fn": open_clip,
        "inputs": [visit.clip, visit.degraded, visit.library, second, how, snr, scene],
        "outputs": [scene, second, view, canvas],
        "show_progress_on": canvas,
        **private,
    }
    tab.select(**opening)
    how.input(**opening, trigger_mode="always_last")
    snr.release(**opening, trigger_mode="always_last")
    canvas.hear(hear, view, sound, trigger_mode="multiple", show_progress="hidden", **private)
    second.input(
        draw,
        [scene, second],
        [view, canvas],
        trigger_mode="always_last",
        show_progress="hidden",
        **private,
    )
    _build_savers(view, fingerprinter.features, private)

    # The endpoint.
    with gr.Row(visible=False):
        inputs = [gr.Audio(type="filepath"), gr.Number(0), gr.Number(1, precision=0)]
        gr.Button().click(graph, inputs, gr.JSON(), api_name="graph", **GRAPH_LIMIT)


def _build_savers(view: gr.State, features: Any, private: dict[str, Any]) -> None:
    """Buttons that save the block shown."""
    side = gr.Radio(
        [(s, i) for i, s in enumerate(SIDES)],
        value=0,
        label="Save the graph of this block",
        info="GraphML and JSON contain one of the two graphs, pictures show both.",
        elem_id="graph-side",
    )
    with gr.Row():
        buttons = [gr.Button(label, size="sm", min_width=110) for label in KINDS]
    choice = gr.Textbox(visible=False)
    download = gr.DownloadButton("Save", visible="hidden", elem_id="graph-file")

    def saver(suffix: str) -> Any:
        def save(shown: SegmentView | None, side: int, chosen: str | None) -> str:
            if shown is None:
                raise gr.Error("Choose a clip first, then save.", print_exception=False)
            return str(_write(downloads.folder(download), suffix, shown, side, chosen, features))

        return save

    for button, suffix in zip(buttons, KINDS.values(), strict=True):
        saved = button.click(saver(suffix), [view, side, choice], download, js=_CHOICE, **private)
        saved.success(None, None, None, js=_FETCH, api_visibility="private")


def _write(
    folder: Path, suffix: str, view: SegmentView, side: int, chosen: str | None, features: Any
) -> Path:
    choice = Choice.parse(chosen, view)
    pair = [graphs[choice.block] for graphs in view.graphs]
    path = folder / f"graph-{view.start_s:.2f}s-block-{choice.block + 1}.{suffix}"
    if suffix in ("png", "svg"):
        graph_plots.save(path, view, features, choice.block, choice.colour, choice.node)
        return path
    side = 1 if side == 1 else 0
    changes = compare(*pair)
    graph = graph_export.to_networkx(pair[side], (changes.kept, changes.known)[side])
    to_text = graph_export.graphml_text if suffix == "graphml" else graph_export.json_text
    text = to_text(graph)
    path = path.with_stem(f"{path.stem}-{SIDES[side]}")
    path.write_text(text, encoding="utf-8")
    return path
