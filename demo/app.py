"""The page: record or choose a clip, press Identify, see and hear the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from demo.identify import WAITING, Identifier
from demo.theme import CSS, HEAD, THEME


def build(identifier: Identifier, examples: Path | None = None) -> gr.Blocks:
    """The page over a library; ``examples`` is a folder of clips with an ``examples.json``."""
    library = identifier.library
    tracks = library.tracks()
    minutes = round(sum(track.duration_s for track in tracks) / 60)

    def show(clip: str | None) -> tuple[Any, ...]:
        page = identifier.page(clip)
        return (
            page.card,
            gr.update(value=page.evidence, visible=bool(page.evidence)),
            gr.update(value=page.candidates, visible=bool(page.candidates)),
            gr.update(value=page.reference, visible=page.reference is not None),
        )

    def identify(clip: str, top: int = 5) -> dict[str, Any]:
        """Name a clip of music. Errors reach the caller as text."""
        try:
            return identifier.answer(clip, max(1, min(int(top), 50))).to_json()
        except (ValueError, RuntimeError, OSError) as error:
            raise gr.Error(str(error).replace(clip, Path(clip).name)) from error

    with gr.Blocks(title="GraFPrint", analytics_enabled=False) as page:
        gr.HTML(
            "<h1>GraFPrint</h1><p>Which recording is this, and where in it are we? "
            f"This library knows {len(tracks)} tracks ({minutes} minutes).</p>"
            '<div id="microphone-note" role="status"></div>',
            elem_id="title",
        )
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                clip = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    label="Your clip: 2 to 10 seconds are enough",
                    buttons=["download"],
                    elem_id="clip",
                )
                button = gr.Button("Identify", variant="primary", interactive=False,
                                   elem_id="identify")  # fmt: skip
            with gr.Column(scale=1, min_width=320):
                card = gr.HTML(WAITING, elem_id="answer")
                reference = gr.Audio(
                    label="The track, from that moment on",
                    interactive=False,
                    visible=False,
                    buttons=["download"],
                    elem_id="reference",
                )
                evidence = gr.HTML(visible=False, elem_id="evidence")
                candidates = gr.HTML(visible=False, elem_id="candidates")
        outputs = [card, evidence, candidates, reference]
        quiet: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": 2}
        if examples is not None and (listing := examples / "examples.json").is_file():
            entries = json.loads(listing.read_text(encoding="utf-8"))
            gr.Examples(
                [[str(examples / entry["file"])] for entry in entries],
                inputs=[clip],
                outputs=outputs,
                fn=show,
                run_on_click=True,
                cache_examples=False,
                example_labels=[entry["label"] for entry in entries],
                label="Examples",
                api_visibility="private",
                elem_id="examples",
            )
        with gr.Accordion(f"The {len(tracks)} tracks of this library", open=False):
            gr.HTML(identifier.contents(), elem_id="contents")

        # `change` can report None for longer recordings, so it only switches the button.
        clip.change(lambda c: gr.update(interactive=c is not None), clip, button,
                    queue=False, show_progress="hidden", api_visibility="private")  # fmt: skip
        button.click(show, clip, outputs, show_progress_on=card, **quiet)
        clip.stop_recording(show, clip, outputs, show_progress_on=card, **quiet)
        clip.upload(show, clip, outputs, show_progress_on=card, **quiet)
        clip.clear(lambda: show(None), None, outputs, queue=False, api_visibility="private")

        # The same for programs: audio and a number in, JSON out.
        with gr.Row(visible=False):
            file, top, result = gr.Audio(type="filepath"), gr.Number(5, precision=0), gr.JSON()
            gr.Button().click(identify, [file, top], result, api_name="identify")
    return page


def launch(identifier: Identifier, examples: Path | None = None, **options: Any) -> gr.Blocks:
    """Serve the page; ``options`` go to Gradio's launch. Returns the running page."""
    page = build(identifier, examples)
    page.queue(max_size=64, default_concurrency_limit=2)
    page.launch(
        theme=THEME,
        css=CSS,
        head=HEAD,
        share=False,
        show_error=True,
        max_file_size="200mb",
        **options,
    )
    return page
