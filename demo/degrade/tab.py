"""The tab Degrade: noise, rooms and bad channels by sliders; hear, see and be told what is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo.degrade import api as degrade_api
from demo.degrade.chain import Own
from demo.degrade.controls import Controls
from demo.degrade.events import Events
from demo.degrade.recordings import Recordings
from demo.studio import AT_ONCE, BUSY, FORGET_S, Studio, Visit

# One sweep at a time, and never in the way of the sliders.
SWEEPING: dict[str, Any] = {"concurrency_id": "breaking", "concurrency_limit": 1}
MOVE_LINE = (Path(__file__).parent / "degrade.js").read_text(encoding="utf-8")


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    recorded = Recordings.of(studio)
    events = Events(studio, recorded)
    with gr.Row(elem_id="degrade-work"):
        with gr.Column(scale=1, min_width=300):
            controls = Controls.build(recorded)
        with gr.Column(scale=1, min_width=300):
            sound = gr.Audio(interactive=False, label="What is heard", buttons=["download"],
                             elem_id="degraded-sound")  # fmt: skip
            seen = gr.HTML(elem_id="degraded-pictures", padding=False)
            card = gr.HTML(elem_id="verdict", padding=False)
    with gr.Row():
        find = gr.Button("Find the breaking point", variant="primary", elem_id="find-breaking")
        stop = gr.Button("Stop", visible=False, elem_id="stop-breaking")
    broken = gr.HTML(elem_id="breaking", padding=False)
    taken = gr.State(None, time_to_live=FORGET_S)
    own = gr.State(Own(), time_to_live=FORGET_S)

    where = [controls.source, controls.track, controls.second]
    state, shown = [taken, own, visit.library], [visit.heard, sound, seen, card]
    lively: dict[str, Any] = {
        "api_visibility": "private", "show_progress": "hidden", "trigger_mode": "always_last",
        **BUSY,
    }  # fmt: skip
    applying = (events.apply, [*state, *controls.values], shown)
    choosing = (events.choose, [visit.clip, *state, *where, *controls.values],
                [taken, broken, *shown])  # fmt: skip

    for control in controls.values:
        control.input(*applying, **lively)
    controls.values[1].change(None, controls.values[1], None, js=MOVE_LINE, **AT_ONCE)
    controls.second.input(*choosing, **lively)
    for control in (controls.source, controls.track):
        control.input(events.fit, [visit.library, *where], where[1:], **AT_ONCE).then(
            *choosing, **lively
        )
    tab.select(events.open, [visit.clip, taken, visit.library, *where], where, **AT_ONCE).then(
        *choosing, **lively
    )
    files = ((controls.noise_file, events.read_noise), (controls.room_file, events.read_room))
    for file, read in files:
        for event in (file.upload, file.clear):
            event(read, [file, *state, *controls.values], [own, *shown], **lively)

    find.click(lambda: gr.update(visible=True), None, stop, **AT_ONCE)
    sweeping = find.click(events.sweep, [*state, *controls.values], broken, show_progress="minimal",
                          api_visibility="private", **SWEEPING)  # fmt: skip
    sweeping.then(lambda: gr.update(visible=False), None, stop, **AT_ONCE)
    stop.click(lambda: gr.update(visible=False), None, stop, cancels=[sweeping], **AT_ONCE)
    degrade_api.build(studio, recorded, BUSY, SWEEPING)
