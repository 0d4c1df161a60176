"""The tab Identify: listen, record, choose a file or an example; see and hear the track."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from demo import cards, clips
from demo.clips import ClipError
from demo.identify import compare, finds, history
from demo.identify.live import ListenError, Listening
from demo.identify.page import Page, page_for
from demo.links import Find
from demo.studio import IDENTIFY_LIMIT, UNQUEUED, Studio, Visit
from grafprint.library import LibraryError

MOST_MATCHES = 50
LIVE = (
    '<div class="gp-live"><button type="button">Listen</button>'
    '<canvas width="313" height="64" role="img" aria-label="Spectrogram of the last ten seconds">'
    '</canvas><div class="gp-live-card" role="status"></div></div>'
)
LIVE_JS = (Path(__file__).parent / "live.js").read_text(encoding="utf-8")


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""

    def page_of(clip: clips.Clip, library: str, own: bool, percent: float) -> Page:
        return page_for(studio.identifier(library), clip, percent / 100 if own else None, library)

    def identify_file(path: str | None, library: str, own: bool, percent: float) -> tuple[Any, ...]:
        try:
            clip = clips.from_file(path)
        except ClipError as error:
            return None, None, *_updates(Page(cards.problem(str(error))))
        page = page_of(clip, library, own, percent)
        return clip, None, *_updates(page)

    def identify_again(clip: clips.Clip | None, library: str, own: bool, percent: float) -> Any:
        if clip is None:
            return [gr.skip()] * len(shown)
        page = page_of(clip, library, own, percent)
        return _updates(replace(page, find=None))  # the history has it

    def show_again(find: Find | None) -> Any:
        if find is None:
            return [gr.skip()] * len(shown)
        try:
            card, sound = finds.shared(studio.identifier(find.library), find)
        except LibraryError as error:
            return _updates(Page(cards.problem(str(error))))
        return _updates(
            Page(card, reference=sound, reference_label="The track, from that moment on")
        )

    def identify(
        path: str, top: int = 5, library: str = "", confidence: float = 0
    ) -> dict[str, Any]:
        """Identify a clip of music: the best matches as JSON.

        Confidence is the threshold, between 0 and 1, above which a match is reported; 0 is the
        default, with a false positive rate of about 1 %.
        """
        try:
            identifier = studio.identifier(library or None)
            clip = clips.from_file(path)
            most = max(1, min(int(top or 5), MOST_MATCHES))
            found = identifier.answer(clip, most, confidence or None).to_json()
        except (ClipError, RuntimeError) as error:
            raise gr.Error(str(error), print_exception=False) from error
        for match in found["matches"]:
            # Where files are is nobody's business; and Gradio's client would fetch what has a path.
            del match["path"]
        return found

    def identify_recorded(
        library: str, own: bool, percent: float, event: gr.EventData
    ) -> tuple[Any, ...]:
        try:
            clip = listening.take(str(event._data.get("token")))
        except ListenError as error:
            return None, None, gr.skip(), *_updates(Page(cards.problem(str(error))))
        page = page_of(clip, library, own, percent)
        return clip, None, gr.update(value=clip.playable()), *_updates(page)

    def receive(piece: Any) -> dict[str, Any]:
        return listening.receive(piece)

    listening = Listening(studio)
    with gr.Row(elem_id="work"):
        with gr.Column(scale=1, min_width=300):
            live = gr.HTML(
                studio.names()[0],
                html_template=LIVE,
                js_on_load=LIVE_JS,
                server_functions=[receive],
                elem_id="live",
                padding=False,
            )
            chosen = gr.Audio(
                sources=["microphone", "upload"],
                type="filepath",
                label="Or a clip of 2 to 10 s",
                buttons=["download"],
                elem_id="clip",
            )
            button = gr.Button("Identify", interactive=False, elem_id="identify")
            example = _examples(chosen, studio.examples)
            with gr.Accordion("Advanced", open=False, elem_id="advanced"):
                own = gr.Checkbox(
                    label="Choose the confidence threshold",
                    info="By default, about 1 in 100 clips of other music is wrongly matched.",
                    elem_id="own-confidence",
                )
                confidence = gr.Slider(
                    50,
                    99.9,
                    value=90,
                    step=0.1,
                    label="Confidence threshold (%)",
                    visible=False,
                    elem_id="confidence",
                )
        with gr.Column(scale=1, min_width=300):
            card = gr.HTML(cards.ready(), elem_id="answer", padding=False)
            scan = gr.Button("Scan the whole file", visible=False, elem_id="scan-whole")
            reference = gr.Audio(
                interactive=False, visible=False, buttons=["download"], elem_id="reference"
            )
            sounds = compare.switch()
            evidence = gr.HTML(visible=False, elem_id="evidence", padding=False)
            candidates = gr.HTML(visible=False, elem_id="candidates", padding=False)

    past = history.build(studio)

    shown = [card, scan, reference, sounds, evidence, candidates, past]
    state = [visit.library, own, confidence]
    inputs, outputs = [chosen, *state], [visit.clip, visit.degraded]
    private: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress_on": card,
        **IDENTIFY_LIMIT,
    }
    button.click(identify_file, inputs, [*outputs, *shown], **private)
    chosen.stop_recording(identify_file, inputs, [*outputs, *shown], **private)
    chosen.upload(identify_file, inputs, [*outputs, *shown], **private)
    if example is not None:
        example.then(identify_file, inputs, [*outputs, *shown], **private)
    live.recorded(identify_recorded, state, [*outputs, chosen, *shown], **private)
    own.input(lambda chosen: gr.update(visible=chosen), own, confidence, **UNQUEUED)
    for change in (own.input, confidence.release):
        change(identify_again, [visit.clip, *state], shown, **private)
    visit.library.change(lambda name: name, visit.library, live, **UNQUEUED)
    visit.find.change(show_again, visit.find, shown, **UNQUEUED)
    # Queued, because only queued events trigger the change event of a state.
    scan.click(
        lambda path: path,
        chosen,
        visit.recording,
        js="path => { window.grafprint.open('scan'); return path; }",
        show_progress="hidden",
        api_visibility="private",
    )
    # For a longer recording `change` can report None, so it must not disable the button.
    chosen.change(
        lambda c: gr.update(interactive=True) if c else gr.skip(), chosen, button, **UNQUEUED
    )
    chosen.clear(
        lambda: (None, None, *_updates(Page(cards.ready())), gr.update(interactive=False)),
        None,
        [*outputs, *shown, button],
        **UNQUEUED,
    )

    # The endpoint.
    with gr.Row(visible=False):
        file, top, name = gr.Audio(type="filepath"), gr.Number(5, precision=0), gr.Textbox("")
        gr.Button().click(
            identify,
            [file, top, name, gr.Number(0)],
            gr.JSON(),
            api_name="identify",
            **IDENTIFY_LIMIT,
        )


def _updates(page: Page) -> tuple[Any, ...]:
    return (
        page.card,
        gr.update(visible=page.scan),
        gr.update(
            value=page.reference,
            visible=page.reference is not None,
            label=page.reference_label,
        ),
        gr.update(value=page.sounds or "[]", visible=bool(page.sounds)),
        gr.update(value=page.evidence, visible=bool(page.evidence)),
        gr.update(value=page.candidates, visible=bool(page.candidates)),
        history.value(page.find),
    )


def _examples(clip: gr.Audio, folder: Path | None) -> Any:
    """Buttons for a folder's example clips; returns the event that follows a choice, if any."""
    if folder is None or not (listing := folder / "examples.json").is_file():
        return None
    entries = json.loads(listing.read_text(encoding="utf-8"))
    files = [str(folder / entry["file"]) for entry in entries]
    # Served from this folder: Gradio would delete its own copies with the clips, for good.
    gr.set_static_paths(files)
    shown = gr.Examples(
        [[file] for file in files],
        inputs=[clip],
        cache_examples=False,
        example_labels=[entry["label"] for entry in entries],
        label="Examples",
        api_visibility="private",
        elem_id="examples",
    )
    return shown.load_input_event
