"""The tab Degrade: add noise, a room and a bad channel to a clip, and see if it is still found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from demo.degrade import api as degrade_api
from demo.degrade import toggle
from demo.degrade.controls import Controls
from demo.degrade.events import Events
from demo.degrade.recordings import Recordings
from demo.degrade.values import Own
from demo.studio import FORGET_S, IDENTIFY_LIMIT, UNQUEUED, Studio, Visit

# One sweep at a time. It has its own queue, so that it does not delay the sliders.
SWEEP_LIMIT: dict[str, Any] = {"concurrency_id": "breaking", "concurrency_limit": 1}
WAITING = '<div class="gp-waiting" role="status">The first clip is being degraded…</div>'
MOVE_LINE = (Path(__file__).parent / "degrade.js").read_text(encoding="utf-8")


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""
    recorded = Recordings.of(studio)
    events = Events(studio, recorded)
    with gr.Row(elem_id="degrade-work"):
        with gr.Column(scale=1, min_width=300):
            controls = Controls.build(recorded)
        with gr.Column(scale=1, min_width=300, elem_id="degrade-result"):
            clean = toggle.build()
            sound = gr.Audio(
                interactive=False,
                label="Degraded clip",
                buttons=["download"],
                elem_id="degraded-sound",
            )
            pictures = gr.HTML(elem_id="degraded-pictures", padding=False)
            card = gr.HTML(WAITING, elem_id="verdict", padding=False)
    with gr.Row():
        find = gr.Button("Find the breaking point", variant="primary", elem_id="find-breaking")
        stop = gr.Button("Stop", visible=False, elem_id="stop-breaking")
    report = gr.HTML(elem_id="breaking", padding=False)
    source = gr.State(None, time_to_live=FORGET_S)
    own = gr.State(Own(), time_to_live=FORGET_S)

    choice = [controls.source, controls.track, controls.second]
    state, shown = [source, own, visit.library], [visit.degraded, sound, pictures, card]
    latest: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "always_last",
        **IDENTIFY_LIMIT,
    }
    apply = (events.apply, [*state, *controls.values], shown)
    choose = (
        events.choose,
        [visit.clip, source, visit.library, *choice],
        [source, clean, controls.of("channel"), report, *shown],
    )

    kept = [controls.of("channel"), controls.of("seed")]  # by presets
    for control in controls.values:
        control.input(*apply, **latest)
        if control not in kept:
            control.input(None, None, controls.preset, js="() => null", **UNQUEUED)
    controls.preset.input(
        events.use_preset, [controls.preset, *kept], controls.values, **UNQUEUED
    ).then(*apply, **latest)
    snr = controls.of("snr_db")
    snr.change(None, snr, None, js=MOVE_LINE, **UNQUEUED)
    controls.second.input(*choose, **latest).then(*apply, **latest)
    for control in (controls.source, controls.track):
        control.input(events.fit, [visit.library, *choice], choice[1:], **UNQUEUED).then(
            *choose, **latest
        ).then(*apply, **latest)
    tab.select(events.open, [visit.clip, source, visit.library, *choice], choice, **UNQUEUED).then(
        *choose, **latest
    ).then(*apply, **latest)
    files = ((controls.noise_file, events.read_noise), (controls.room_file, events.read_room))
    for file, read in files:
        for event in (file.upload, file.clear):
            event(read, [file, *state, *controls.values], [own, *shown], **latest)

    find.click(lambda: gr.update(visible=True), None, stop, **UNQUEUED)
    sweeping = find.click(
        events.sweep,
        [*state, *controls.values],
        report,
        show_progress="minimal",
        api_visibility="private",
        **SWEEP_LIMIT,
    )
    sweeping.then(lambda: gr.update(visible=False), None, stop, **UNQUEUED)
    stop.click(lambda: gr.update(visible=False), None, stop, cancels=[sweeping], **UNQUEUED)
    degrade_api.build(studio, recorded, IDENTIFY_LIMIT, SWEEP_LIMIT)
