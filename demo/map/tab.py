"""The tab Map: all of a library on a plane, and where a clip lies on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demo import cards, clips, downloads
from demo.clips import Clip, ClipError
from demo.map import plots as map_plots
from demo.map import trails
from demo.map.chart import BY, Chart
from demo.map.maps import MapError, Maps
from demo.map.trails import Trail
from demo.studio import FORGET_S, Studio, Visit
from grafprint.library import LibraryError

PLAYED_S = 5.0
KINDS = ("png", "svg", "csv")
BUSY: dict[str, Any] = {"concurrency_id": "map", "concurrency_limit": 2}

_HERE = Path(__file__).parent
_HTML = (_HERE / "map.html").read_text(encoding="utf-8")
_SCRIPT = "".join((_HERE / f).read_text(encoding="utf-8") for f in ("map_draw.js", "map.js"))
_COLOUR = """by => document.querySelector('.gp-map')?.dispatchEvent(
    new CustomEvent('colour', {detail: by}))"""
_FETCH = "() => document.querySelector('#map-file').click()"


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a visitor's map shows: paths of these clips over this chart."""

    chart: Chart
    clip: Clip | None
    heard: Clip | None
    trails: list[Trail]

    def of(self, chart: Chart, clip: Clip | None, heard: Clip | None) -> bool:
        """Whether it is of just these."""
        return self.chart is chart and self.clip is clip and self.heard is heard


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    maps = Maps(studio)

    def chart_of(library: str) -> Chart | None:
        try:
            return maps.find(library)
        except LibraryError as error:
            raise _error(error, studio, library) from error

    def chart_text(library: str) -> str:
        """For the canvas: the points of a library's map as JSON."""
        chart = chart_of(str(library))
        if chart is None:
            raise gr.Error("this library has no map yet", print_exception=False)
        return chart.text

    def show(library: str, drawn: Drawn | None) -> tuple[Any, ...]:
        chart = chart_of(library)
        new = chart is not None and (drawn is None or drawn.chart is not chart)
        value = _value(library, chart, []) if chart and new else gr.skip()
        there = chart is not None
        return value, gr.update(visible=there), gr.update(visible=not there), ""

    def follow(
        library: str, clip: Clip | None, heard: Clip | None, drawn: Drawn | None
    ) -> tuple[Any, ...]:
        chart = chart_of(library)
        if chart is None or (drawn and drawn.of(chart, clip, heard)):
            return gr.skip(), gr.skip(), gr.skip()
        found = trails.of_visit(studio, chart, clip, heard)
        value, text = _value(library, chart, found), trails.words(chart, found)
        return value, text, Drawn(chart, clip, heard, found)

    def draw(library: str) -> Iterator[str]:
        try:
            for share, stage in maps.draw(library):
                yield _progress(share, stage)
        except (MapError, LibraryError) as error:
            raise _error(error, studio, library) from error
        yield ""

    def play(library: str, event: gr.EventData) -> Any:
        found = studio.identifier(library).library
        try:
            track = found.track(int(event.track))
            start_s = min(max(0, int(event.hop)) * found.hop_s, max(0, track.duration_s - 1))
            music = clips.from_track(found, track, start_s, PLAYED_S)
        except (ClipError, LibraryError, TypeError, ValueError) as error:
            raise _error(error, studio, library) from error
        label = f"{track.title}, from {cards.clock(int(start_s))} on"
        return gr.update(value=music.playable(), label=label, visible=True)

    def export(
        kind: str = "png", by: str = "track", library: str = "", drawn: Drawn | None = None
    ) -> str:
        """The map of a library as a file: kind is png, svg or csv; colours by track, artist or
        time. Without a library's name it is that of the page."""
        chart = chart_of(library or studio.names()[0])
        if chart is None or kind not in KINDS or by not in BY:
            raise gr.Error("There is no such map.", print_exception=False)
        path = downloads.folder(fetched) / f"map by {by}.{kind}"
        if kind == "csv":
            path.write_text(chart.table(), encoding="utf-8")
        else:
            map_plots.save(path, chart, by, drawn.trails if drawn else [])
        return str(path)

    def place(path: str, library: str = "") -> list[dict[str, Any] | None]:
        """Where each second of a clip lies on the map of a library.

        For each segment of 1 s its second in the clip, x and y (0 to 1), and the track and second
        of the nearest fingerprint on the map; null for silence.
        """
        chart = chart_of(library or studio.names()[0])
        try:
            if chart is None:
                raise MapError("this library has no map yet: draw it on the page")
            clip = clips.from_file(path)
            return trails.near(chart, trails.of_clip(studio, chart, clip, clip.name, ""))
        except (ClipError, MapError) as error:
            raise _error(error, studio, library) from error

    with gr.Column(visible=False) as nothing:
        gr.HTML("<p>This library has no map of its present state. Drawing one takes some "
                "seconds to a minute, and is done once.</p>", padding=False)  # fmt: skip
        with gr.Row():
            begin = gr.Button("Draw the map", variant="primary", elem_id="map-draw")
            stop = gr.Button("Cancel", elem_id="map-cancel")
        work = gr.HTML("", elem_id="map-work", elem_classes="gp-map-work", padding=False)
    with gr.Column(visible=False) as there:
        by = gr.Radio(
            list(zip(("Colour by track", "By artist", "By time in the track"), BY, strict=True)),
            value="track", label="Colour by", show_label=False, container=False, elem_id="map-by",
        )  # fmt: skip
        paths = gr.HTML("", elem_id="map-paths", elem_classes="gp-map-paths", padding=False)
        canvas = gr.HTML("", html_template=_HTML, js_on_load=_SCRIPT, elem_id="map",
                         server_functions=[chart_text], padding=False)  # fmt: skip
        player = gr.Audio(visible=False, interactive=False, autoplay=True, buttons=["download"],
                          elem_id="map-player")  # fmt: skip
        with gr.Row():
            savers = {
                kind: gr.Button(f"Save {kind.upper()}", size="sm", min_width=90) for kind in KINDS
            }
    fetched = gr.DownloadButton("Save", visible="hidden", elem_id="map-file")
    drawn = gr.State(None, time_to_live=FORGET_S)

    private: dict[str, Any] = {"api_visibility": "private"}
    seen: dict[str, Any] = {
        "fn": show, "inputs": [visit.library, drawn], "outputs": [canvas, there, nothing, work],
        "show_progress": "hidden", **private,
    }  # fmt: skip
    walked: dict[str, Any] = {
        "fn": follow, "inputs": [visit.library, visit.clip, visit.heard, drawn],
        "outputs": [canvas, paths, drawn], "show_progress_on": paths, **BUSY, **private,
    }  # fmt: skip
    tab.select(**seen).success(**walked)
    making = begin.click(draw, visit.library, work, show_progress="hidden",
                         concurrency_id="map drawing", concurrency_limit=8, **private)  # fmt: skip
    making.success(**seen).success(**walked)
    stop.click(lambda: "", None, work, cancels=[making], queue=False, **private)
    by.change(None, by, None, js=_COLOUR, **private)
    canvas.pick(play, visit.library, player, show_progress="hidden", **BUSY, **private)
    for kind, button in savers.items():
        # What is not chosen on the page is fixed: a component without a place holds it.
        fixed = gr.State(kind)
        button.click(export, [fixed, by, visit.library, drawn], fetched, **BUSY, **private).success(
            None, None, None, js=_FETCH, **private
        )

    # The same for programs.
    with gr.Row(visible=False):
        form, colour, name = gr.Textbox("png"), gr.Textbox("track"), gr.Textbox("")
        gr.Button().click(export, [form, colour, name], gr.File(), api_name="map_export", **BUSY)
        gr.Button().click(place, [gr.Audio(type="filepath"), name], gr.JSON(),
                          api_name="map_place", **BUSY)  # fmt: skip


def _value(library: str, chart: Chart, found: list[Trail]) -> str:
    """What the canvas is to show, as JSON; its points it asks for when it does not have them."""
    lines = [
        {
            "colour": trail.colour,
            "points": [
                None if np.isnan(x) else [round(float(x), 5), round(float(y), 5)]
                for x, y in trail.xy
            ],
        }
        for trail in found
    ]
    state = f"{chart.drawn.state} {len(chart.drawn)}"
    return json.dumps({"library": library, "map": state, "trails": lines})


def _progress(share: float, stage: str) -> str:
    return (
        f'<progress max="1" value="{share:.3f}" aria-label="Drawing the map"></progress>'
        f"<div>{round(100 * share)} %: {stage}</div>"
    )


def _error(error: Exception, studio: Studio, library: str) -> gr.Error:
    """What to tell the visitor: a library's name in the place of its path."""
    text = str(error)
    if library in studio.names():
        for path in (studio.path(library).resolve(), studio.path(library)):
            text = text.replace(str(path), library)
    return gr.Error(f"{text[:1].upper()}{text[1:]}.", print_exception=False)
