"""The tab How it works: the visitor's clip at each stage of the pipeline."""

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

LONGEST_S = 8.0  # of the clip: the plots of a longer one would be crowded
# Plots are drawn for the page's width, so that their texts have the size of others.
PHONE_PX = 660
WIDE_IN, PHONE_IN = 9.0, 4.4
_WITH_WIDTH = "(clip, library, second, width) => [clip, library, second, window.innerWidth]"


class Stage(NamedTuple):
    """A stage: its title, what happens in it, and its plots (caption and function)."""

    title: str
    text: str
    panels: tuple[tuple[str, Callable[[Axes, Scene], None]], ...]


def _channel(number: int) -> Callable[[Axes, Scene], None]:
    return lambda axes, scene: stages.channel(axes, scene, number)


STAGES = (
    Stage(
        "Sound",
        "The input is converted to one channel at 16,000 samples per second.",
        (("", stages.waveform),),
    ),
    Stage(
        "Spectrogram",
        "The energy in each of 64 frequency bands, every 32 ms. The box marks one segment: a "
        "second of sound. A new segment begins every 96 ms.",
        (("", stages.spectrogram),),
    ),
    Stage(
        "Three channels",
        "The network gets three values for each point of the segment: its time, its frequency and "
        "its level. Time and frequency are the same for every segment. The level is relative to "
        "the segment's peak, so the volume does not matter.",
        (("time", _channel(0)), ("frequency", _channel(1)), ("level", _channel(2))),
    ),
    Stage(
        "Graph",
        "The segment is divided into 512 nodes. Each has edges to the three nodes most similar to "
        "it, wherever they are, and combines its features with theirs. There are twelve such "
        "blocks, with fewer and fewer nodes; the edges of later ones reach farther.",
        (
            ("block 1, all edges", stages.first_graph),
            ("a late block, four nodes", stages.later_graph),
        ),
    ),
    Stage(
        "Fingerprints",
        "The features of the last nodes are averaged and projected to 128 numbers, one column for "
        "each segment. The dotted line marks the segment above.",
        (("", stages.fingerprints),),
    ),
    Stage(
        "Neighbours",
        "For each segment the library returns its 20 nearest fingerprints. Each of them implies a "
        "start of the clip in a track. Chance hits are scattered; a true match is a horizontal "
        "line.",
        (("", stages.neighbours),),
    ),
    Stage(
        "Answer",
        "Each likely start is scored with the average similarity of clip and track from there on. "
        "The best one (circle) is the answer if it reaches the threshold (dotted). On Identify, "
        "the tracks' spectral peaks (landmarks) are a second witness, and less similarity will do.",
        (("", stages.alignment),),
    ),
)


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""

    def show(
        clip: Clip | None, library: str, second: float, width_px: float = 0
    ) -> tuple[Any, str]:
        try:
            chosen = studio.identifier(library)
            clip = shorten(clip or example_clip(studio))
            segment = int(second / chosen.library.hop_s)
            scene = Scene.of(chosen.fingerprinter, chosen.library, clip.samples, segment)
        except (ClipError, MatchError, LibraryError) as error:
            return gr.skip(), cards.problem(str(error))
        last_s = max(0.0, scene.duration_s - scene.fingerprinter.window_s)
        narrow = 0 < width_px <= PHONE_PX
        return gr.update(maximum=max(0.1, round(last_s, 1))), page(scene, clip.name, narrow)

    def explain(path: str, second: float = 0.0, library: str = "") -> str:
        """Explain how a clip is identified: plots of all stages, as HTML."""
        try:
            return show(clips.from_file(path), library or studio.names()[0], second)[1]
        except ClipError as error:
            raise gr.Error(str(error), print_exception=False) from error

    gr.HTML(
        "<p>How your clip is identified, step by step. Choose a clip on the tab Identify; until "
        "then, an example is shown.</p>",
        padding=False,
    )
    second = gr.Slider(
        0,
        6,
        2,
        step=0.1,
        label="Start of the segment shown in detail (s)",
        elem_id="explain-second",
    )
    pictures = gr.HTML(elem_id="explain", padding=False)
    width = gr.Number(0, visible=False)
    inputs, outputs = [visit.clip, visit.library, second, width], [second, pictures]
    options: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress_on": pictures,
        "js": _WITH_WIDTH,
    }
    tab.select(show, inputs, outputs, **options)
    second.release(show, inputs, outputs, trigger_mode="always_last", **options)

    with gr.Row(visible=False):
        file, at, name = gr.Audio(type="filepath"), gr.Number(0), gr.Textbox("")
        gr.Button().click(explain, [file, at, name], gr.HTML(), api_name="explain")


def example_clip(studio: Studio) -> Clip:
    """The clip used until the visitor has one: an example, or part of the library's first track.

    Raises ClipError if there is neither.
    """
    if (example := clips.example(studio.examples)) is not None:
        return example
    library = studio.identifier().library
    for track in library.tracks():
        return clips.from_track(library, track, track.duration_s / 3, LONGEST_S)
    raise ClipError("the library is empty: add some music first")


def shorten(clip: Clip) -> Clip:
    """Cut a clip to its first LONGEST_S seconds."""
    return Clip(clip.samples[: round(LONGEST_S * audio.SAMPLE_RATE)], clip.name, clip.offset_s)


def page(scene: Scene, name: str, narrow: bool = False) -> str:
    """All stages as HTML; ``narrow``: for a phone, with each plot on a line of its own."""
    shown = ""
    for number, stage in enumerate(STAGES, 1):
        panels = "".join(_panel(stage, panel, scene, narrow) for panel in stage.panels)
        shown += (
            f'<section class="gp-stage"><h2>{number}. {stage.title}</h2><p>{stage.text}</p>'
            f'<div class="gp-panels">{panels}</div></section>'
        )
    best = scene.answer.best
    if best is not None and scene.answer.identified:
        answer = cards.found(scene.answer, best)
    else:
        answer = cards.unknown(best)
    return f'<div class="gp-small">{escape(name)}</div>{shown}{answer}'


def _panel(
    stage: Stage, panel: tuple[str, Callable[[Axes, Scene], None]], scene: Scene, narrow: bool
) -> str:
    caption, draw = panel
    width_in = PHONE_IN if narrow else WIDE_IN / len(stage.panels)
    with plots.drawing(width_in, 2.6) as figure:
        axes = plots.style_axes(figure.subplots())
        draw(axes, scene)
        drawn = plots.svg(figure, f"{stage.title} {caption}: {stage.text}")
    under = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="gp-plot">{drawn}{under}</figure>'
