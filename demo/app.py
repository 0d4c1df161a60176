"""The page: one tab for each thing to do with a clip and a library."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo import cards, identify
from demo import map as map_tab
from demo.studio import Studio, Visit
from demo.theme import CSS, HEAD, THEME

MAX_FILE_MB = 200
# Libraries up to this size are shown at once: a newcomer sees what can be asked for.
OPEN_UP_TO = 50
# Clips and what was made of them are deleted once an hour old, looked for every ten minutes.
DELETE_CACHE_S = (600, 3600)

# Title of each tab and what builds it, in the order in which they are shown.
TABS = (("Identify", identify.build), ("Map", map_tab.build))


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    tracks = studio.identifier().library.tracks()
    minutes = round(sum(track.duration_s for track in tracks) / 60)

    with gr.Blocks(title="GraFPrint", analytics_enabled=False, delete_cache=DELETE_CACHE_S) as page:
        gr.HTML(
            "<h1>GraFPrint</h1><p>Which recording is this, and where in it are we? "
            f"This library knows {len(tracks)} tracks ({minutes} minutes).</p>"
            f'<div id="note" role="status" data-max-mb="{MAX_FILE_MB}"></div>',
            elem_id="title",
            padding=False,
        )
        visit = Visit.begin(studio)
        with gr.Tabs(elem_id="tabs"):
            for title, build_tab in TABS:
                with gr.Tab(title, id=title.lower()) as tab:
                    build_tab(studio, visit, tab)
        with gr.Accordion(
            f"The {len(tracks)} tracks of this library", open=len(tracks) <= OPEN_UP_TO
        ):
            gr.HTML(cards.contents(tracks), elem_id="contents", padding=False)
    return page


def launch(studio: Studio, **options: Any) -> gr.Blocks:
    """Serve the page; ``options`` go to Gradio's launch. Returns the running page."""
    page = build(studio)
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
