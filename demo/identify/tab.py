"""The tab Identify: record, choose a file or an example; see and hear which track it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from demo import cards, clips
from demo.clips import ClipError
from demo.identify import compare
from demo.identify.live import ListenError, Listening
from demo.identify.page import Page, page_for
from demo.studio import AT_ONCE, BUSY, Studio, Visit
from grafprint.matching.confidence import CALIBRATION

MOST_MATCHES = 50
LIVE = (
    '<div class="gp-live"><button type="button">Listen live</button>'
    '<canvas width="313" height="64" role="img" aria-label="Spectrogram of the last ten seconds '
    'heard"></canvas><div class="gp-live-card" role="status"></div></div>'
)
LIVE_JS = (Path(__file__).parent / "live.js").read_text(encoding="utf-8")


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""

    def look(path: str | None, library: str, percent: float) -> tuple[Any, ...]:
        try:
            clip = clips.from_file(path)
        except ClipError as error:
            return None, None, *_shown(Page(cards.problem(str(error))))
        return clip, None, *_shown(page_for(studio.identifier(library), clip, percent / 100))

    def look_again(clip: clips.Clip | None, library: str, percent: float) -> Any:
        if clip is None:
            return [gr.skip()] * len(shown)
        return _shown(page_for(studio.identifier(library), clip, percent / 100))

    def identify(path: str, top: int = 5, library: str = "", sure: float = 0) -> dict[str, Any]:
        """Name a clip of music. Errors reach the caller as text.

        Sure is the probability, between 0 and 1, that a name needs; 0 is the default one, with
        which about 1 % of clips that are not in the library get a name.
        """
        try:
            found = studio.identifier(library or None)
            clip = clips.from_file(path)
            most = max(1, min(int(top or 5), MOST_MATCHES))
            return found.answer(clip, most, sure or None).to_json()
        except (ClipError, RuntimeError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def heard(library: str, percent: float, event: gr.EventData) -> tuple[Any, ...]:
        try:
            clip = listening.take(str(event._data.get("token")))
        except ListenError as error:
            return None, None, gr.skip(), *_shown(Page(cards.problem(str(error))))
        page = page_for(studio.identifier(library), clip, percent / 100)
        return clip, None, gr.update(value=clip.playable()), *_shown(page)

    def hear(piece: Any) -> dict[str, Any]:
        return listening.hear(piece)

    listening = Listening(studio)
    with gr.Row(elem_id="work"):
        with gr.Column(scale=1, min_width=300):
            chosen = gr.Audio(
                sources=["microphone", "upload"],
                type="filepath",
                label="Your clip, 2 to 10 s",
                buttons=["download"],
                elem_id="clip",
            )
            button = gr.Button("Identify", variant="primary", interactive=False,
                               elem_id="identify")  # fmt: skip
            live = gr.HTML(
                studio.names()[0],
                html_template=LIVE,
                js_on_load=LIVE_JS,
                server_functions=[hear],
                elem_id="live",
                padding=False,
            )
            sure = gr.Slider(
                50, 99.9, value=round(100 * CALIBRATION.threshold, 1), step=0.1,
                label="How sure must a name be? (%)",
                info="At first so that about 1 in 100 clips of other music gets a name.",
                elem_id="sure",
            )  # fmt: skip
            picked = _examples(chosen, studio.examples)
        with gr.Column(scale=1, min_width=300):
            card = gr.HTML(cards.ready(), elem_id="answer", padding=False)
            reference = gr.Audio(
                interactive=False, visible=False, buttons=["download"], elem_id="reference"
            )
            sounds = compare.switch()
            evidence = gr.HTML(visible=False, elem_id="evidence", padding=False)
            candidates = gr.HTML(visible=False, elem_id="candidates", padding=False)

    shown = [card, reference, sounds, evidence, candidates]
    inputs, outputs = [chosen, visit.library, sure], [visit.clip, visit.heard, *shown]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress_on": card, **BUSY}
    button.click(look, inputs, outputs, **private)
    chosen.stop_recording(look, inputs, outputs, **private)
    chosen.upload(look, inputs, outputs, **private)
    if picked is not None:
        picked.then(look, inputs, outputs, **private)
    live.heard(heard, [visit.library, sure], [visit.clip, visit.heard, chosen, *shown], **private)
    sure.release(look_again, [visit.clip, visit.library, sure], shown, **private)
    visit.library.change(lambda name: name, visit.library, live, **AT_ONCE)
    # `change` can report None for a longer recording, so it only ever enables the button.
    chosen.change(lambda c: gr.update(interactive=True) if c else gr.skip(), chosen, button,
                  **AT_ONCE)  # fmt: skip
    chosen.clear(lambda: (None, None, *_shown(Page(cards.ready())), gr.update(interactive=False)),
                 None, [*outputs, button], **AT_ONCE)  # fmt: skip

    # The same for programs: audio and a number in, JSON out.
    with gr.Row(visible=False):
        file, top, name = gr.Audio(type="filepath"), gr.Number(5, precision=0), gr.Textbox("")
        gr.Button().click(
            identify, [file, top, name, gr.Number(0)], gr.JSON(), api_name="identify", **BUSY
        )


def _shown(page: Page) -> tuple[Any, ...]:
    return (
        page.card,
        gr.update(
            value=page.reference,
            visible=page.reference is not None,
            label=page.reference_label,
        ),
        gr.update(value=page.sounds or "[]", visible=bool(page.sounds)),
        gr.update(value=page.evidence, visible=bool(page.evidence)),
        gr.update(value=page.candidates, visible=bool(page.candidates)),
    )


def _examples(clip: gr.Audio, folder: Path | None) -> Any:
    """Buttons that fill in the clips of a folder; the event of having filled one in, if any."""
    if folder is None or not (listing := folder / "examples.json").is_file():
        return None
    entries = json.loads(listing.read_text(encoding="utf-8"))
    files = [str(folder / entry["file"]) for entry in entries]
    # Served from where they lie: Gradio's copies are deleted like clips, and never made again.
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
