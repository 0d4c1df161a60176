"""The tab Samples: which recordings a song samples, where, and which nodes see each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from scipy.io import wavfile

from demo import clips, downloads, player
from demo.clips import Clip, ClipError
from demo.samples import data, example, scene
from demo.samples.scene import SampleView
from demo.sampling import Sampling
from demo.studio import FORGET_S, Studio, Visit
from demo.texts import count, problem_note
from grafprint.errors import GraFPrintError

_HERE = Path(__file__).parent
_HTML = (_HERE / "samples.html").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "samples.js").read_text(encoding="utf-8")
_LOOK_HTML = (_HERE / "attention.html").read_text(encoding="utf-8")
_LOOK_SCRIPT = (_HERE / "attention.js").read_text(encoding="utf-8")
LIMIT: dict[str, Any] = {"concurrency_id": "samples", "concurrency_limit": 1}
NOTE = (
    "Which recordings of the library does a song sample: a loop or riff in new music, at another "
    "speed, filtered, under other sounds? Choose a song on Identify, or begin with the example."
)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    assert studio.sampling is not None  # or the tab would not be shown
    sampling = studio.sampling

    note = f"{NOTE} The library has {count(len(sampling.library.tracks()), 'track')}"

    def kept(samples: np.ndarray) -> Path:
        """A file with samples, to be played from; Gradio deletes it when it is old."""
        file = downloads.folder(canvas) / "song.wav"
        wavfile.write(file, *clips.playable(samples))
        return file

    def open_clip(
        clip: Clip | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[SampleView | None, str, str]:
        if clip is None:
            return None, problem_note(note), ""
        try:
            path = clip.path if clip.path and clip.path.is_file() else kept(clip.samples)
            return _find(sampling, path, clip.name, clip, progress)
        except ClipError as error:
            return None, problem_note(str(error)), ""

    def open_tab(
        clip: Clip | None,
        before: SampleView | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, Any, Any]:
        if before is not None and before.clip is clip:
            return gr.skip(), gr.skip(), gr.skip()
        return open_clip(clip, progress)

    def open_example(
        clip: Clip | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[SampleView | None, str, str]:
        progress(0.05, "Making a song")
        try:
            song, track = example.make_song(sampling)
            name = f"a new beat with a loop of {track.title}"
            return _find(sampling, kept(song), name, clip, progress)
        except ClipError as error:
            return None, problem_note(str(error)), ""

    def hear(view: SampleView | None, event: gr.EventData) -> str:
        try:
            if view is None:
                raise ClipError("find the samples of a song first")
            side, track, region = (int(event._data.get(k)) for k in ("side", "track", "region"))
            heard = scene.sound(sampling, view, side, track, region)
        except (ClipError, TypeError, ValueError, OverflowError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        return player.value(heard)

    def look(view: SampleView | None, event: gr.EventData) -> str:
        if view is None or sampling.reranker is None:
            return ""
        try:
            track, region = (int(event._data.get(k)) for k in ("track", "region"))
            return data.look_value(scene.look(sampling, view, track, region))
        except (ClipError, TypeError, ValueError, OverflowError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def samples(path: str) -> dict[str, Any]:
        """The tracks of the library that a song samples, and where in both."""
        try:
            if not path:
                raise ClipError("there is no song: choose a file")
            return data.answer(sampling.find(Path(path)))
        except (ClipError, GraFPrintError, ValueError) as error:
            message = str(error).replace(str(path), Path(path or "").name)
            raise gr.Error(message, print_exception=False) from error

    with gr.Row():
        again = gr.Button("Find samples in my song", variant="primary", elem_id="samples-find")
        made = gr.Button("An example", elem_id="samples-example")
    canvas = gr.HTML("", html_template=_HTML, js_on_load=_SCRIPT, elem_id="samples", padding=False)
    nodes = gr.HTML(
        "",
        html_template=_LOOK_HTML,
        js_on_load=_LOOK_SCRIPT,
        elem_id="samples-nodes",
        padding=False,
    )
    sound = player.build("samples-sound")
    view = gr.State(None, time_to_live=FORGET_S)
    private: dict[str, Any] = {"api_visibility": "private"}
    shown = [view, canvas, nodes]
    finding: dict[str, Any] = {"show_progress_on": canvas, **private, **LIMIT}
    tab.select(open_tab, [visit.clip, view], shown, **finding)
    again.click(open_clip, visit.clip, shown, **finding)
    made.click(open_example, visit.clip, shown, **finding)
    # Not limited with the others: nobody waits for another visitor's song to hear their own.
    canvas.hear(hear, view, sound, trigger_mode="multiple", show_progress="hidden", **private)
    canvas.look(look, view, nodes, trigger_mode="always_last", show_progress="hidden", **private)

    with gr.Row(visible=False):
        gr.Button().click(
            samples, gr.Audio(type="filepath"), gr.JSON(), api_name="samples", **LIMIT
        )


def _find(
    sampling: Sampling, path: Path, name: str, clip: Clip | None, progress: gr.Progress
) -> tuple[SampleView, str, str]:
    """Find, and draw. Raises ClipError, whose message has no path."""

    def tell(stage: str, done: float) -> None:
        if stage == "compare":
            progress(0.4 + 0.5 * done, "Comparing")
        else:
            progress(0.2, f"Listening, {done:.0f} s so far")

    try:
        found = sampling.find(path, tell)
        progress(0.95, "Drawing")
        view = scene.look_up(sampling, path, name, found, clip)
    except GraFPrintError as error:
        raise ClipError(str(error).replace(str(path), name)) from error
    return view, data.value(view, sampling), ""
