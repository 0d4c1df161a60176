"""The page: one tab for each thing to do with a clip and a library."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from typing import Any

import gradio as gr

from demo import cards
from demo.benchmark import tab as benchmark
from demo.degrade import tab as degrade
from demo.explain import tab as explain
from demo.graph import tab as graph
from demo.identify import tab as identify
from demo.library import tab as library
from demo.map import tab as map_tab
from demo.scan import tab as scan
from demo.studio import AT_ONCE, Studio, Visit
from demo.theme import CSS, HEAD, THEME
from grafprint.library import LibraryError

MAX_FILE_MB = 200
# Clips and what was made of them are deleted once an hour old, looked for every ten minutes.
DELETE_CACHE_S = (600, 3600)

# Gradio remembers about 0.4 MB of each visit, and a visitor's clip; the least recent are forgotten.
VISITS = 500

# Title of each tab and what builds it, in the order in which they are shown.
TABS = (
    ("Identify", identify.build),
    ("Degrade", degrade.build),
    ("Graph", graph.build),
    ("Map", map_tab.build),
    ("Scan", scan.build),
    ("Library", library.build),
    ("Benchmark", benchmark.build),
    ("How it works", explain.build),
)


def keep_apart() -> None:
    """Give this process a folder of its own for visitors' clips, unless GRADIO_TEMP_DIR names one.

    Gradio's default is one folder for all its programs on a computer, where other users can read. A
    file lies there by its content, and a page that closes deletes it, also when another program's
    visitor has chosen the same and still waits.
    """
    if not os.environ.get("GRADIO_TEMP_DIR"):
        folder = tempfile.mkdtemp(prefix="grafprint-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["GRADIO_TEMP_DIR"] = folder


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    keep_apart()

    def known(name: str) -> str:
        try:
            return cards.known(name, studio.identifier(name).library.tracks())
        except LibraryError:  # it has gone meanwhile
            return cards.known(name, [])

    with gr.Blocks(title="GraFPrint", analytics_enabled=False, delete_cache=DELETE_CACHE_S) as page:
        gr.HTML(
            "<h1>GraFPrint</h1><p>Which recording is this, and where in it are we?</p>"
            f'<div id="note" role="status" data-max-mb="{MAX_FILE_MB}"></div>',
            elem_id="title",
            padding=False,
        )
        visit = Visit.begin(studio)
        in_use = gr.HTML(known(studio.home.name), elem_id="in-use", padding=False)
        gr.on([visit.library.change, visit.changes.change], known, visit.library, in_use, **AT_ONCE)
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            for title, build_tab in TABS:
                with gr.Tab(title, id=title.lower().replace(" ", "-")) as tab:
                    build_tab(studio, visit, tab)
                    tab.select(known, visit.library, in_use, **AT_ONCE)
    return page


def launch(studio: Studio, *, share: bool = False, **options: Any) -> gr.Blocks:
    """Serve the page; ``options`` go to Gradio's launch. Returns the running page."""
    page = build(studio)
    page.queue(max_size=64)
    page.launch(
        theme=THEME,
        css=CSS,
        head=HEAD,
        share=share,
        ssr_mode=False,
        enable_monitoring=False,  # its page would show every visitor's requests
        show_error=True,
        state_session_capacity=VISITS,
        max_file_size=MAX_FILE_MB * 1_000_000,
        **options,
    )
    return page
