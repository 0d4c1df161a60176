"""The page: record or choose a clip, see and hear the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from demo import cards
from demo.identify import ClipError, Identifier
from demo.theme import CSS, HEAD, THEME

MAX_FILE_MB = 200
MOST_MATCHES = 50
# Libraries up to this size are shown at once: a newcomer sees what can be asked for.
OPEN_UP_TO = 50
# Clips and what was made of them are deleted once an hour old, looked for every ten minutes.
DELETE_CACHE_S = (600, 3600)


def build(identifier: Identifier, examples: Path | None = None) -> gr.Blocks:
    """The page over a library; ``examples`` is a folder of clips with an ``examples.json``."""
    tracks = identifier.library.tracks()
    minutes = round(sum(track.duration_s for track in tracks) / 60)

    def show(clip: str | None) -> tuple[Any, ...]:
        page = identifier.page(clip)
        return (
            page.card,
            gr.update(
                value=page.reference,
                visible=page.reference is not None,
                label=page.reference_label,
            ),
            gr.update(value=page.evidence, visible=bool(page.evidence)),
            gr.update(value=page.candidates, visible=bool(page.candidates)),
        )

    def identify(clip: str, top: int = 5) -> dict[str, Any]:
        """Name a clip of music. Errors reach the caller as text."""
        try:
            return identifier.answer(clip, max(1, min(int(top or 5), MOST_MATCHES))).to_json()
        except ClipError as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Blocks(title="GraFPrint", analytics_enabled=False, delete_cache=DELETE_CACHE_S) as page:
        gr.HTML(
            "<h1>GraFPrint</h1><p>Which recording is this, and where in it are we? "
            f"This library knows {len(tracks)} tracks ({minutes} minutes).</p>"
            f'<div id="note" role="status" data-max-mb="{MAX_FILE_MB}"></div>',
            elem_id="title",
            padding=False,
        )
        with gr.Row(elem_id="work"):
            with gr.Column(scale=1, min_width=300):
                clip = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    label="Your clip, 2 to 10 s",
                    buttons=["download"],
                    elem_id="clip",
                )
                button = gr.Button("Identify", variant="primary", interactive=False,
                                   elem_id="identify")  # fmt: skip
                picked = _examples(clip, examples)
            with gr.Column(scale=1, min_width=300):
                card = gr.HTML(cards.ready(), elem_id="answer", padding=False)
                reference = gr.Audio(
                    interactive=False,
                    visible=False,
                    buttons=["download"],
                    elem_id="reference",
                )
                evidence = gr.HTML(visible=False, elem_id="evidence", padding=False)
                candidates = gr.HTML(visible=False, elem_id="candidates", padding=False)
        with gr.Accordion(
            f"The {len(tracks)} tracks of this library", open=len(tracks) <= OPEN_UP_TO
        ):
            gr.HTML(cards.contents(tracks), elem_id="contents", padding=False)

        outputs = [card, reference, evidence, candidates]
        # Two clips at a time, however they come; more of them wait their turn.
        busy: dict[str, Any] = {"concurrency_id": "identify", "concurrency_limit": 2}
        private: dict[str, Any] = {"api_visibility": "private", **busy}
        at_once: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private"
        }  # fmt: skip
        button.click(show, clip, outputs, show_progress_on=card, **private)
        clip.stop_recording(show, clip, outputs, show_progress_on=card, **private)
        clip.upload(show, clip, outputs, show_progress_on=card, **private)
        if picked is not None:
            picked.then(show, clip, outputs, show_progress_on=card, **private)
        # `change` can report None for a longer recording, so it only ever enables the button.
        clip.change(lambda c: gr.update(interactive=True) if c else gr.skip(), clip, button,
                    **at_once)  # fmt: skip
        clip.clear(lambda: (*show(None), gr.update(interactive=False)), None, [*outputs, button],
                   **at_once)  # fmt: skip

        # The same for programs: audio and a number in, JSON out.
        with gr.Row(visible=False):
            file, top, result = gr.Audio(type="filepath"), gr.Number(5, precision=0), gr.JSON()
            gr.Button().click(identify, [file, top], result, api_name="identify", **busy)
    return page


def _examples(clip: gr.Audio, folder: Path | None) -> Any:
    """Buttons that fill in the clips of a folder; the event of having filled one in, if any."""
    if folder is None or not (listing := folder / "examples.json").is_file():
        return None
    entries = json.loads(listing.read_text(encoding="utf-8"))
    shown = gr.Examples(
        [[str(folder / entry["file"])] for entry in entries],
        inputs=[clip],
        cache_examples=False,
        example_labels=[entry["label"] for entry in entries],
        label="Examples",
        api_visibility="private",
        elem_id="examples",
    )
    return shown.load_input_event


def launch(identifier: Identifier, examples: Path | None = None, **options: Any) -> gr.Blocks:
    """Serve the page; ``options`` go to Gradio's launch. Returns the running page."""
    page = build(identifier, examples)
    page.queue(max_size=64)
    page.launch(
        theme=THEME,
        css=CSS,
        head=HEAD,
        share=False,
        ssr_mode=False,
        enable_monitoring=False,  # its page would show every visitor's requests
        show_error=True,
        max_file_size=MAX_FILE_MB * 1_000_000,
        **options,
    )
    return page
