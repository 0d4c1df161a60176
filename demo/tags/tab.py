"""The tab Tags: what a clip sounds like, when, and which nodes of the tagger speak for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo import clips, player
from demo import degraded as degraded_by
from demo import scene as scenes
from demo.clips import Clip, ClipError
from demo.scene import Scene
from demo.studio import FORGET_S, Studio, Visit
from demo.tags import data as tag_data
from demo.tags import scene as tag_scene
from demo.tags.scene import TagView
from demo.texts import problem_note
from grafprint.errors import GraFPrintError

_HERE = Path(__file__).parent
_HTML = (_HERE / "tags.html").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "tags.js").read_text(encoding="utf-8")
LIMIT: dict[str, Any] = {"concurrency_id": "tags", "concurrency_limit": 1}
NOTE = (
    "A second network, ATGNN, says what a clip sounds like. Its label nodes have edges to the "
    "patches of the spectrogram, block by block. Choose a label and what is lit for it: the "
    "patches that changed its node most, those that raise its sum over all patches, or the "
    "squares without which the whole network is less sure (silenced squares). The brighter, "
    "the more. Measured on the bundled network, what is lit matters to it, the squares most; it "
    "hardly shows when a label sounds."
)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    tagger = studio.tagger
    assert tagger is not None  # or the tab would not be shown

    def open_clip(
        clip: Clip | None,
        degraded: Clip | None,
        library: str,
        how: str,
        snr_db: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Scene | None, Any, TagView | None, str]:
        progress(0.1, "Listening")
        try:
            shown = scenes.scene(studio, clip, degraded, library, how, snr_db)
            view = tag_scene.view_clip(tagger, shown)
        except ClipError as error:
            return None, gr.skip(), None, problem_note(str(error))
        last_s = tag_scene.last_start_s(tagger, shown)
        # Gradio cannot draw a slider whose minimum is its maximum.
        slider = gr.update(maximum=max(0.1, round(last_s, 1)), value=0, visible=last_s > 0)
        return shown, slider, view, tag_data.value(view, tagger.features, NOTE)

    def move(
        shown: Scene | None, view: TagView | None, start_s: float
    ) -> tuple[TagView | None, str]:
        if shown is None or view is None:
            return None, problem_note("choose a clip on Identify first")
        try:
            view = tag_scene.move_window(tagger, shown, view, start_s)
        except ClipError as error:
            return None, problem_note(str(error))
        return view, tag_data.value(view, tagger.features, NOTE)

    def hear(view: TagView | None, event: gr.EventData) -> str:
        try:
            if view is None:
                raise ClipError("choose a clip first")
            side, label, evidence = (event._data.get(k) for k in ("side", "label", "evidence"))
            lit = bool(event._data.get("lit"))
            heard = tag_scene.sound(tagger, view, int(side), int(label), str(evidence), lit=lit)
        except (ClipError, TypeError, ValueError, OverflowError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        return player.value(heard)

    def tags(path: str, top: int = 10) -> dict[str, Any]:
        """The likeliest labels of a clip and their probabilities, as a whole and over time."""
        try:
            samples = clips.from_file(path).samples
            top = max(1, int(top or 10))
            return tagger.tag(samples).to_json(top, over_time=True)
        except (ClipError, GraFPrintError, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Row():
        start = gr.Slider(
            0,
            10,
            0,
            step=0.1,
            label="Second of the clip",
            info=f"The {tagger.window_s:.0f} s that begin here are lit.",
            min_width=280,
            scale=3,
            visible=False,
            elem_id="tags-second",
        )
        how, snr = degraded_by.build("tags")
    canvas = gr.HTML("", html_template=_HTML, js_on_load=_SCRIPT, elem_id="tags", padding=False)
    sound = player.build("tags-sound")
    scene = gr.State(None, time_to_live=FORGET_S)
    view = gr.State(None, time_to_live=FORGET_S)
    private: dict[str, Any] = {"api_visibility": "private", **LIMIT}
    opening: dict[str, Any] = {
        "fn": open_clip,
        "inputs": [visit.clip, visit.degraded, visit.library, how, snr],
        "outputs": [scene, start, view, canvas],
        "show_progress_on": canvas,
        **private,
    }
    tab.select(**opening)
    how.input(**opening, trigger_mode="always_last")
    snr.release(**opening, trigger_mode="always_last")
    start.release(move, [scene, view, start], [view, canvas], trigger_mode="always_last", **private)
    canvas.hear(hear, view, sound, trigger_mode="multiple", show_progress="hidden", **private)

    with gr.Row(visible=False):
        inputs = [gr.Audio(type="filepath"), gr.Number(10, precision=0)]
        gr.Button().click(tags, inputs, gr.JSON(), api_name="tags", **LIMIT)
