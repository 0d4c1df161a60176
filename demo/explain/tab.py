"""The tab How it works: the visitor's clip on its way through the pipeline, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import gradio as gr
from matplotlib.axes import Axes

from demo import cards, clips, plots
from demo.clips import Clip, ClipError
from demo.explain import stages
from demo.explain.stages import Scene
from demo.studio import Studio, Visit
from grafprint import audio
from grafprint.library import LibraryError
from grafprint.matching import MatchError

LONGEST_S = 8.0  # of the clip: more makes the pictures crowded, not clearer


class Stage(NamedTuple):
    """A stage: its name, what happens in it, and how to draw it."""

    title: str
    text: str
    panels: tuple[tuple[str, Callable[[Axes, Scene], None]], ...]


def _channel(number: int) -> Callable[[Axes, Scene], None]:
    return lambda axes, scene: stages.channel(axes, scene, number)


STAGES = (
    Stage(
        "Sound",
        "Whatever comes in becomes one channel at 16,000 samples a second.",
        (("", stages.waveform),),
    ),
    Stage(
        "Spectrogram",
        "Every 32 ms, how much energy there is in each of 64 bands of pitch. The frame is one "
        "segment: a second of sound. A new segment begins every 96 ms.",
        (("", stages.spectrogram),),
    ),
    Stage(
        "Three channels",
        "The network sees the segment three times: when, how high, and how loud. The first two are "
        "always the same, and tell every point where it is. Loudness is relative to the segment's "
        "own peak, so the volume does not matter.",
        (("when", _channel(0)), ("how high", _channel(1)), ("how loud", _channel(2))),
    ),
    Stage(
        "Graph",
        "The picture becomes 512 nodes. Each is joined to the three that are most like it, "
        "wherever they are, and takes from them what they have more of. Twelve such blocks follow "
        "one another, on ever fewer nodes: the later ones join what is far apart.",
        (("block 1, all edges", stages.first_graph),
         ("a late block, four nodes", stages.later_graph)),
    ),
    Stage(
        "Fingerprints",
        "What the nodes have become is averaged and turned into 128 numbers: one column for each "
        "segment. The dotted line is the segment above.",
        (("", stages.fingerprints),),
    ),
    Stage(
        "Neighbours",
        "For each segment the library returns its 20 nearest fingerprints. Less the segment's own "
        "place, each says where in a track the clip may begin. Chance hits scatter; a true match "
        "makes a horizontal line.",
        (("", stages.neighbours),),
    ),
    Stage(
        "Answer",
        "Every likely beginning is scored: how alike clip and track are from there on, on average. "
        "The best one (circle) is the answer if it reaches the threshold (dotted).",
        (("", stages.alignment),),
    ),
)  # fmt: skip


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""

    def show(clip: Clip | None, library: str, second: float) -> tuple[Any, str]:
        try:
            found = studio.identifier(library)
            clip = shortened(clip or first_clip(studio))
            scene = Scene.of(
                found.fingerprinter, found.library, clip.samples, int(second / found.library.hop_s)
            )
        except (ClipError, MatchError, LibraryError) as error:
            return gr.skip(), cards.problem(str(error))
        last_s = max(0.0, scene.duration_s - scene.fingerprinter.window_s)
        return gr.update(maximum=max(0.1, round(last_s, 1))), page(scene, clip.name)

    def explain(path: str, second: float = 0.0, library: str = "") -> str:
        """Show a clip on its way through the pipeline: pictures of all stages, as HTML."""
        try:
            return show(clips.from_file(path), library or studio.names()[0], second)[1]
        except ClipError as error:
            raise gr.Error(str(error), print_exception=False) from error

    gr.HTML(
        "<p>Your clip on its way from sound to answer. Take one on the tab Identify; "
        "until then it is an example.</p>",
        padding=False,
    )
    second = gr.Slider(0, 6, 2, step=0.1, label="Segment to look at (seconds into the clip)",
                       elem_id="explain-second")  # fmt: skip
    pictures = gr.HTML(elem_id="explain", padding=False)
    inputs, outputs = [visit.clip, visit.library, second], [second, pictures]
    options: dict[str, Any] = {"api_visibility": "private", "show_progress_on": pictures}
    tab.select(show, inputs, outputs, **options)
    second.release(show, inputs, outputs, trigger_mode="always_last", **options)

    with gr.Row(visible=False):
        file, at, name = gr.Audio(type="filepath"), gr.Number(0), gr.Textbox("")
        gr.Button().click(explain, [file, at, name], gr.HTML(), api_name="explain")


def first_clip(studio: Studio) -> Clip:
    """What is shown before there is a clip: an example, or part of the library's first track.

    Raises ClipError if there is neither.
    """
    if (example := clips.example(studio.examples)) is not None:
        return example
    library = studio.identifier().library
    for track in library.tracks():
        return clips.from_track(library, track, track.duration_s / 3, LONGEST_S)
    raise ClipError("the library is empty: add some music first")


def shortened(clip: Clip) -> Clip:
    """The first seconds of a clip, as many as are shown."""
    return Clip(clip.samples[: round(LONGEST_S * audio.SAMPLE_RATE)], clip.name, clip.offset_s)


def page(scene: Scene, name: str) -> str:
    """All stages as HTML."""
    shown = "".join(
        f'<section class="gp-stage"><h3>{number}. {stage.title}</h3><p>{stage.text}</p>'
        f'<div class="gp-panels">{"".join(_panel(stage, panel, scene) for panel in stage.panels)}'
        "</div></section>"
        for number, stage in enumerate(STAGES, 1)
    )
    best = scene.answer.best
    if best is not None and scene.answer.identified:
        answer = cards.found(scene.answer, best)
    else:
        answer = cards.unknown(best)
    return f'<div class="gp-small">{escape(name)}</div>{shown}{answer}'


def _panel(stage: Stage, panel: tuple[str, Callable[[Axes, Scene], None]], scene: Scene) -> str:
    caption, draw = panel
    with plots.drawing(9 / len(stage.panels), 2.6) as figure:
        axes = plots.plain(figure.subplots())
        draw(axes, scene)
        drawn = plots.svg(figure, f"{stage.title} {caption}: {stage.text}")
    under = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="gp-plot">{drawn}{under}</figure>'
