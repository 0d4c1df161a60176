"""The tab Scan: what plays when in a long recording, shown while it is scanned."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demo import cards, clips, downloads, texts, work
from demo.clips import LONGEST_S, ClipError, playable
from demo.scan import cards as scan_cards
from demo.scan import show
from demo.studio import UNQUEUED, Studio, Visit
from grafprint import audio
from grafprint.library import LibraryError
from grafprint.scan import Scan, scans

DRAW_EVERY_S = 1.0
PLAYED_S = 20.0  # how much of a play is heard at a click
_SCRIPT = (Path(__file__).parent / "timeline.js").read_text(encoding="utf-8")
# One scan at a time on the whole server; others wait in the queue.
SCAN_LIMIT: dict[str, Any] = {"concurrency_id": "scan", "concurrency_limit": 1}


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    turn = work.Turn()

    def begin(stop: work.Stop) -> tuple[Any, ...]:
        hide = gr.update(visible=False)
        off = gr.update(interactive=False)
        return turn.begin(stop), gr.update(visible=True), off, "", "", "", hide, hide

    def end() -> tuple[Any, ...]:
        return gr.update(visible=False), gr.update(interactive=True)

    def run(path: str | None, name: str, stop: work.Stop) -> Iterator[tuple[str, str, str, str]]:
        try:
            if not path:
                raise ValueError("choose a recording first, or make an example")
            with turn.lock, contextlib.closing(_steps(studio, name, path)) as steps:
                drawn_s = 0.0
                for result, share in steps:
                    if stop.wanted or share == 1 or result.duration_s >= LONGEST_S:
                        break
                    if time.monotonic() - drawn_s >= DRAW_EVERY_S:
                        drawn_s = time.monotonic()
                        yield scan_cards.progress(result, share), *_show(result, share), ""
            links = scan_cards.files(result, Path(path).name)
            yield scan_cards.summary(result, share), *_show(result), links
        except (ValueError, LibraryError) as error:
            message = str(error).replace(path, Path(path).name) if path else str(error)
            yield cards.problem(message), "", "", ""

    def hear(path: str | None, name: str, event: gr.EventData) -> tuple[Any, Any]:
        try:
            start_s, track_start_s = float(event.start_s), float(event.track_start_s)
            length_s = min(PLAYED_S, float(event.length_s))
            library = studio.identifier(name).library
            track = library.track(int(event.track))
            if not path:
                raise ClipError("the recording is no longer here: choose it again")
            recorded = audio.load(path, start_s=start_s, duration_s=length_s)
            at = f"The recording, from {texts.clock(start_s)} on"
            mix = gr.update(value=playable(recorded), label=at, visible=True)
        except (ValueError, LibraryError) as error:
            message = str(error).replace(path, Path(path).name) if path else str(error)
            raise gr.Error(message, print_exception=False) from error
        try:
            music = clips.from_track(library, track, track_start_s, length_s)
        except ClipError:  # a library without its music
            return mix, gr.update(visible=False)
        at = f"{track.title}, from {texts.clock(track_start_s)} on"
        return mix, gr.update(value=music.playable(), label=at, visible=True)

    def example(name: str) -> str:
        try:
            library = studio.identifier(name).library
            return show.write_show(library, np.random.default_rng(), downloads.folder(recording))
        except (ClipError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def scan(path: str, library: str = "") -> dict[str, Any]:
        """Find the tracks of a library that play in a long recording, and when.

        The entries are in order of time, from start_s to end_s; gaps have no title.
        """
        try:
            with turn.lock, contextlib.closing(_steps(studio, library, path)) as steps:
                for result, share in steps:
                    if share == 1 or result.duration_s >= LONGEST_S:
                        break
            return {**result.to_json(), "recording": Path(path).name}
        except (ValueError, LibraryError) as error:
            message = str(error).replace(path, Path(path).name)
            raise gr.Error(message, print_exception=False) from error

    gr.HTML(
        '<div class="gp-small">What plays when in a radio show, a DJ set or a film? The limit here '
        "is four hours; the command line has none.</div>",
        padding=False,
    )
    with gr.Row():
        with gr.Column(scale=3):
            recording = gr.File(
                label="Long recording",
                file_types=["audio", "video"],
                height=160,  # at less, its label covers the icon on a phone
                elem_id="scan-recording",
            )
        with gr.Column(scale=1, min_width=200):
            make = gr.Button("Make an example", elem_id="scan-example")
            start = gr.Button("Scan", variant="primary", elem_id="scan-start")
            halt = gr.Button("Stop", visible=False, elem_id="scan-stop")
    visit.recording.change(lambda path: path, visit.recording, recording, **UNQUEUED)
    progress = gr.HTML("", elem_id="scan-progress", padding=False)
    timeline = gr.HTML("", js_on_load=_SCRIPT, elem_id="scan-timeline", padding=False)
    with gr.Row():
        mix, music = (
            gr.Audio(
                visible=False,
                interactive=False,
                autoplay=which == "mix",
                buttons=["download"],
                elem_id=f"scan-{which}",
            )
            for which in ("mix", "track")
        )
    table = gr.HTML("", js_on_load=_SCRIPT, elem_id="scan-table", padding=False)
    links = gr.HTML("", elem_id="scan-files", padding=False)
    stop = gr.State(work.Stop())

    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    make.click(example, visit.library, recording, api_visibility="private")
    cleared = [progress, halt, start, timeline, table, links, mix, music]
    began = start.click(begin, stop, cleared, **UNQUEUED)
    over = began.then(
        run,
        [recording, visit.library, stop],
        [progress, timeline, table, links],
        **hidden,
        **SCAN_LIMIT,
    )
    over.then(end, None, [halt, start], **hidden)
    for shown in (timeline, table):
        shown.pick(hear, [recording, visit.library], [mix, music], **hidden)
    halt.click(work.Stop.halt, stop, progress, **UNQUEUED)

    with gr.Row(visible=False):
        file = gr.File(type="filepath")
        gr.Button().click(scan, [file, gr.Textbox("")], gr.JSON(), api_name="scan", **SCAN_LIMIT)


def _show(result: Scan, share: float = 1.0) -> tuple[str, str]:
    return scan_cards.timeline(result, share), scan_cards.table(result)


def _steps(studio: Studio, name: str, path: str) -> Generator[tuple[Scan, float], None, None]:
    identifier = studio.identifier(name)
    yield from scans(identifier.library, identifier.fingerprinter, path)
