"""The tab Graph: the graphs that the network made of a second of sound, to look into and save."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo import clips, downloads
from demo.clips import Clip, ClipError
from demo.graph import data as graph_data
from demo.graph import plots as graph_plots
from demo.graph import scene as graph_scene
from demo.graph.scene import Look, Scene
from demo.studio import FORGET_S, Studio, Visit
from grafprint.explore import graph_export, graphs
from grafprint.explore.graphs import compare

_HERE = Path(__file__).parent
_HTML, _DRAW, _SCRIPT = (
    (_HERE / name).read_text(encoding="utf-8")
    for name in ("graph.html", "graph_draw.js", "graph.js")
)
COLOURINGS = ("degree", "cluster", "change")
KINDS = {
    "Picture (PNG)": "png", "Picture (SVG)": "svg", "GraphML": "graphml", "JSON": "json"
}  # fmt: skip
SIDES = ("clean", "degraded")
BUSY: dict[str, Any] = {"concurrency_id": "graph", "concurrency_limit": 2}
# What is chosen in the browser is asked for only when something is to be saved.
_CHOICE = "(look, side) => [look, side, document.querySelector('.gp-graph').dataset.choice]"
_FETCH = "() => document.querySelector('#graph-file').click()"


@dataclass(frozen=True)
class Choice:
    """What the browser shows: a block, a colouring, and the node whose edges are shown or None."""

    block: int
    colour: str
    node: int | None

    @classmethod
    def parse(cls, text: str | None, look: Look) -> Choice:
        """Read the browser's choice; what does not fit the graphs is left at its default."""
        try:
            given = json.loads(text or "{}")
            block, node = int(given.get("block", 0)), given.get("node")
        except (ValueError, TypeError, AttributeError, OverflowError):
            given, block, node = {}, 0, None
        block = min(max(0, block), len(look.graphs[0]) - 1)
        if given.get("edges") == "all" or not isinstance(node, int):
            node = None
        if node is not None and not 0 <= node < look.graphs[0][block].nodes:
            node = None
        colour = given.get("colour")
        return cls(block, colour if colour in COLOURINGS else COLOURINGS[0], node)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    fingerprinter = studio.fingerprinter
    if not fingerprinter.makes_graphs:
        gr.HTML("<p>The network in use makes no graphs, so there is nothing to show here.</p>",
                elem_id="no-graph")  # fmt: skip
        return

    def draw(shown: Scene | None, start_s: float) -> tuple[Look | None, str]:
        if shown is None:
            return None, graph_data.problem("take a clip on Identify first")
        look = graph_scene.look(fingerprinter, shown, start_s)
        return look, graph_data.value(look, fingerprinter.features)

    def begin(
        clip: Clip | None, heard: Clip | None, library: str, start_s: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Scene | None, Any, Look | None, str]:  # fmt: skip
        progress(0.1, "Looking at the graphs")
        try:
            shown = graph_scene.scene(studio, clip, heard, library)
        except ClipError as error:
            return None, gr.skip(), None, graph_data.problem(str(error))
        start_s = min(start_s, shown.last_s)
        # A slider of no length cannot be drawn.
        slider = gr.update(maximum=max(0.1, shown.last_s), value=start_s)
        return shown, slider, *draw(shown, start_s)

    def graph(path: str, second: float = 0.0, block: int = 1) -> dict[str, Any]:
        """The graph of one block (from 1 on) for the second of a clip that begins at a time in s.

        Node-link JSON: networkx.node_link_graph(data, edges="edges") reads it.
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

    second = gr.Slider(
        0, 9, 0, step=0.1, label="Second of the clip",
        info="The segment of 1 s that begins here, as the network saw it.", elem_id="graph-second",
    )  # fmt: skip
    view = gr.HTML("", html_template=_HTML, js_on_load=_DRAW + _SCRIPT, elem_id="graph",
                   padding=False)  # fmt: skip
    scene = gr.State(None, time_to_live=FORGET_S)
    look = gr.State(None, time_to_live=FORGET_S)
    private: dict[str, Any] = {"api_visibility": "private", **BUSY}
    tab.select(begin, [visit.clip, visit.heard, visit.library, second],
               [scene, second, look, view], show_progress_on=view, **private)  # fmt: skip
    second.input(draw, [scene, second], [look, view], trigger_mode="always_last",
                 show_progress="hidden", **private)  # fmt: skip
    _savers(look, fingerprinter.features, private)

    # The same for programs: audio, a second and a block in, JSON out.
    with gr.Row(visible=False):
        inputs = [gr.Audio(type="filepath"), gr.Number(0), gr.Number(1, precision=0)]
        gr.Button().click(graph, inputs, gr.JSON(), api_name="graph", **BUSY)


def _savers(look: gr.State, features: Any, private: dict[str, Any]) -> None:
    """Buttons that save the block in view."""
    side = gr.Radio(
        [(s, i) for i, s in enumerate(SIDES)], value=0, label="Save the graph of this block",
        info="GraphML and JSON hold one of the two, pictures show both.", elem_id="graph-side",
    )  # fmt: skip
    with gr.Row():
        buttons = [gr.Button(label, size="sm", min_width=110) for label in KINDS]
    choice = gr.Textbox(visible=False)
    fetched = gr.DownloadButton("Save", visible="hidden", elem_id="graph-file")

    def saver(suffix: str) -> Any:
        def save(shown: Look | None, side: int, chosen: str | None) -> str:
            if shown is None:
                raise gr.Error("Open a clip first, then save.", print_exception=False)
            return str(_write(downloads.folder(fetched), suffix, shown, side, chosen, features))

        return save

    for button, suffix in zip(buttons, KINDS.values(), strict=True):
        button.click(saver(suffix), [look, side, choice], fetched, js=_CHOICE, **private).success(
            None, None, None, js=_FETCH, api_visibility="private"
        )


def _write(
    folder: Path, suffix: str, look: Look, side: int, chosen: str | None, features: Any
) -> Path:
    choice = Choice.parse(chosen, look)
    pair = [graphs[choice.block] for graphs in look.graphs]
    path = folder / f"graph-{look.start_s:.2f}s-block-{choice.block + 1}.{suffix}"
    if suffix in ("png", "svg"):
        graph_plots.save(path, look, features, choice.block, choice.colour, choice.node)
        return path
    side = 1 if side == 1 else 0
    shared = compare(*pair)
    made = graph_export.to_networkx(pair[side], (shared.kept, shared.known)[side])
    text = graph_export.graphml_text(made) if suffix == "graphml" else graph_export.json_text(made)
    path = path.with_stem(f"{path.stem}-{SIDES[side]}")
    path.write_text(text, encoding="utf-8")
    return path
