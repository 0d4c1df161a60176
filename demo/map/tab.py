"""The tab Map: a library's fingerprints on a plane, and the path of a clip over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demo import clips, downloads, texts
from demo.clips import Clip, ClipError
from demo.map import passages, trails, updates
from demo.map import plots as map_plots
from demo.map.chart import BY, Chart
from demo.map.maps import MapError, Maps
from demo.map.trails import Trail
from demo.studio import FORGET_S, UNQUEUED, Studio, Visit
from grafprint.library import LibraryError

COLOURINGS = ("Colour by track", "By artist", "By sound", "By time in the track", "By density")
KINDS = ("png", "svg", "csv")
MAP_LIMIT: dict[str, Any] = {"concurrency_id": "map", "concurrency_limit": 2}

_HERE = Path(__file__).parent
_HTML = (_HERE / "map.html").read_text(encoding="utf-8")
_SCRIPT = "".join(
    (_HERE / f"{name}.js").read_text(encoding="utf-8")
    for name in ("map_data", "map_draw", "map_side", "map_open", "map")
)
_COLOUR = """by => document.querySelector('.gp-map')?.dispatchEvent(
    new CustomEvent('colour', {detail: by}))"""
_TO_GRAPH = """() => document.querySelector('#tabs [role=tab][data-tab-id="graph"]').click()"""
_FETCH = "() => document.querySelector('#map-file').click()"


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a visitor's map shows: a chart, and the paths of these clips over it."""

    chart: Chart
    clip: Clip | None
    degraded: Clip | None
    trails: list[Trail]

    def shows(self, chart: Chart, clip: Clip | None, degraded: Clip | None) -> bool:
        """Whether these are the chart and the clips."""
        return self.chart is chart and self.clip is clip and self.degraded is degraded


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    maps = Maps(studio)

    def chart_of(library: str) -> Chart | None:
        try:
            return maps.find(library)
        except LibraryError as error:
            raise updates.refusal(error, studio, library) from error

    def chart_text(library: str) -> str:
        """The points of a library's map as JSON, for the canvas."""
        chart = chart_of(str(library))
        if chart is None:
            raise gr.Error("this library has no map yet", print_exception=False)
        return chart.text

    def show(library: str, drawn: Drawn | None) -> tuple[Any, ...]:
        chart = chart_of(library)
        new = chart is not None and (drawn is None or drawn.chart is not chart)
        value = updates.value(library, chart, []) if chart and new else gr.skip()
        exists = chart is not None
        return value, gr.update(visible=exists), gr.update(visible=not exists), ""

    def follow(
        library: str, clip: Clip | None, degraded: Clip | None, drawn: Drawn | None
    ) -> tuple[Any, ...]:
        chart = chart_of(library)
        if chart is None or (drawn and drawn.shows(chart, clip, degraded)):
            return gr.skip(), gr.skip(), gr.skip()
        visit_trails = trails.of_visit(studio, chart, clip, degraded)
        value, text = updates.value(library, chart, visit_trails), trails.words(chart, visit_trails)
        return value, text, Drawn(chart, clip, degraded, visit_trails)

    def draw(library: str) -> Iterator[str]:
        try:
            for share, stage in maps.draw(library):
                yield updates.progress(share, stage)
        except (MapError, LibraryError) as error:
            raise updates.refusal(error, studio, library) from error
        yield ""

    def play(library: str, event: gr.EventData) -> Any:
        music = passage(library, event.track, event.hop, passages.PLAYED_S)
        label = f"{music.name}, from {texts.clock(int(music.offset_s))} on"
        return gr.update(value=music.playable(), label=label, visible=True)

    def inspect(library: str, event: gr.EventData) -> tuple[Clip, None]:
        return passage(library, event.track, event.hop, passages.OPENED_S), None

    def passage_file(wanted: Any) -> dict[str, str]:
        """A passage as a WAV file, for the tab Identify: of [library, track, hop]."""
        library, track, hop = updates.arguments(wanted, 3)
        return passages.to_file(passage(str(library), track, hop, passages.OPENED_S))

    def nearest_to(wanted: Any) -> list[tuple[int, float]]:
        """The passages most like that of a point, with their similarities: of [library, point]."""
        library, point = updates.arguments(wanted, 2)
        chart = chart_of(str(library))
        try:
            return passages.nearest(chart, point) if chart else []
        except (ClipError, LibraryError) as error:
            raise updates.refusal(error, studio, str(library)) from error

    def passage(library: str, track: Any, hop: Any, duration_s: float) -> Clip:
        try:
            return passages.cut(studio.identifier(library).library, track, hop, duration_s)
        except (ClipError, LibraryError) as error:
            raise updates.refusal(error, studio, library) from error

    def export(
        kind: str = "png", by: str = "track", library: str = "", drawn: Drawn | None = None
    ) -> str:
        """The map of a library as a file.

        Kind is png, svg or csv, and by is track, artist, sound, time or density. An empty library
        name means the first library.
        """
        chart = chart_of(library or studio.names()[0])
        if chart is None or kind not in KINDS or by not in BY:
            raise gr.Error("There is no such map.", print_exception=False)
        path = downloads.folder(download) / f"map by {by}.{kind}"
        if kind == "csv":
            path.write_text(chart.table(), encoding="utf-8")
        else:
            map_plots.save(path, chart, by, drawn.trails if drawn else [])
        return str(path)

    def place(path: str, library: str = "") -> list[dict[str, Any] | None]:
        """The position of each segment of a clip on the map of a library.

        For each segment of 1 s: its second in the clip, x and y (0 to 1), and the track and second
        of the nearest fingerprint on the map; null for silence.
        """
        chart = chart_of(library or studio.names()[0])
        try:
            if chart is None:
                raise MapError("this library has no map yet: draw it on the page")
            clip = clips.from_file(path)
            return trails.near(chart, trails.of_clip(studio, chart, clip, clip.name, ""))
        except (ClipError, MapError) as error:
            raise updates.refusal(error, studio, library) from error

    with gr.Column(visible=False) as missing:
        gr.HTML(
            "<p>This library has no up-to-date map. Drawing one takes seconds to a minute and is "
            "done only once.</p>",
            padding=False,
        )
        with gr.Row():
            begin = gr.Button("Draw the map", variant="primary", elem_id="map-draw")
            stop = gr.Button("Cancel", elem_id="map-cancel", visible=False)
        work = gr.HTML("", elem_id="map-work", elem_classes="gp-map-work", padding=False)
    with gr.Column(visible=False) as present:
        by = gr.Radio(
            list(zip(COLOURINGS, BY, strict=True)),
            value="track",
            label="Colour by",
            show_label=False,
            container=False,
            elem_id="map-by",
        )
        paths = gr.HTML("", elem_id="map-paths", elem_classes="gp-map-paths", padding=False)
        canvas = gr.HTML(
            "",
            html_template=_HTML,
            js_on_load=_SCRIPT,
            elem_id="map",
            server_functions=[chart_text, nearest_to, passage_file],
            padding=False,
        )
        player = gr.Audio(
            visible=False,
            interactive=False,
            autoplay=True,
            buttons=["download"],
            elem_id="map-player",
        )
        with gr.Row():
            savers = {
                kind: gr.Button(f"Save {kind.upper()}", size="sm", min_width=90) for kind in KINDS
            }
    download = gr.DownloadButton("Save", visible="hidden", elem_id="map-file")
    drawn = gr.State(None, time_to_live=FORGET_S)

    private: dict[str, Any] = {"api_visibility": "private"}
    show_map: dict[str, Any] = {
        "fn": show,
        "inputs": [visit.library, drawn],
        "outputs": [canvas, present, missing, work],
        "show_progress": "hidden",
        **private,
    }
    show_paths: dict[str, Any] = {
        "fn": follow,
        "inputs": [visit.library, visit.clip, visit.degraded, drawn],
        "outputs": [canvas, paths, drawn],
        "show_progress_on": paths,
        **MAP_LIMIT,
        **private,
    }
    tab.select(**show_map).success(**show_paths)
    idle: dict[str, Any] = {"fn": lambda: updates.idle(True), "outputs": [begin, stop], **UNQUEUED}
    begin.click(lambda: updates.idle(False), None, [begin, stop], **UNQUEUED)
    drawing = begin.click(
        draw,
        visit.library,
        work,
        show_progress="hidden",
        concurrency_id="map drawing",
        concurrency_limit=8,
        **private,
    )
    drawing.then(**idle).then(**show_map).success(**show_paths)  # also after a failure
    # Then what there is: a report on its way may arrive after the bar was cleared, or the map.
    stop.click(lambda: "", None, work, cancels=[drawing], queue=False, **private).then(**idle).then(
        **show_map
    ).success(**show_paths)
    by.change(None, by, None, js=_COLOUR, **private)
    canvas.pick(
        play,
        visit.library,
        player,
        trigger_mode="multiple",  # a click while another one is answered counts, too
        show_progress="hidden",
        **MAP_LIMIT,
        **private,
    )
    canvas.inspect(
        inspect, visit.library, [visit.clip, visit.degraded], **MAP_LIMIT, **private
    ).success(None, None, None, js=_TO_GRAPH, **private)
    for kind, button in savers.items():
        inputs = [gr.State(kind), by, visit.library, drawn]
        saved = button.click(export, inputs, download, **MAP_LIMIT, **private)
        saved.success(None, None, None, js=_FETCH, **private)

    # The endpoints.
    with gr.Row(visible=False):
        form, colour, name = gr.Textbox("png"), gr.Textbox("track"), gr.Textbox("")
        gr.Button().click(
            export, [form, colour, name], gr.File(), api_name="map_export", **MAP_LIMIT
        )
        clip = gr.Audio(type="filepath")
        gr.Button().click(place, [clip, name], gr.JSON(), api_name="map_place", **MAP_LIMIT)
