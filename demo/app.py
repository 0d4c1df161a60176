"""The page and its tabs."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from demo import cards, downloads, links, proxy
from demo.benchmark import tab as benchmark
from demo.degrade import tab as degrade
from demo.explain import tab as explain
from demo.graph import tab as graph
from demo.identify import tab as identify
from demo.library import tab as library
from demo.map import tab as map_tab
from demo.samples import tab as samples
from demo.scan import tab as scan
from demo.studio import UNQUEUED, Studio, Visit
from demo.tags import tab as tags
from demo.theme import CSS, HEAD, THEME
from grafprint.library import LibraryError

MAX_FILE_MB = 200
# Every ten minutes, files of visitors that are over an hour old are deleted.
DELETE_CACHE_S = (600, 3600)

# Gradio keeps about 0.4 MB per visit, plus the visitor's clip; the least recent visits are dropped.
VISITS = 500

# The tabs in the order in which they are shown: the title and the function that builds it.
TABS = (
    ("Identify", identify.build),
    ("Degrade", degrade.build),
    ("Graph", graph.build),
    ("Tags", tags.build),
    ("Samples", samples.build),
    ("Map", map_tab.build),
    ("Scan", scan.build),
    ("Library", library.build),
    ("Benchmark", benchmark.build),
    ("How it works", explain.build),
)
# Tags is left out where there is no tagger, Samples where there is no library for it.
TAB_IDS = tuple(title.lower().replace(" ", "-") for title, _ in TABS)  # also in addresses


def build(studio: Studio) -> gr.Blocks:
    """The page of a studio."""
    downloads.use_private_folder()

    def describe(name: str) -> str:
        try:
            return cards.library_in_use(name, studio.identifier(name).library.tracks())
        except LibraryError:  # it has been deleted in the meantime
            return cards.library_in_use(name, [])

    def arrive(arrival: str) -> tuple[Any, ...]:
        """Open the tab, library and find of the address, and the library of the last visit."""
        try:
            told = json.loads(arrival)
            link = links.read(str(told["query"]), studio.home_name)
            remembered = str(told["library"] or "")
        except (ValueError, TypeError, KeyError):
            return gr.skip(), gr.skip(), gr.skip()
        names = studio.names()
        wanted = link.library or remembered
        library = wanted if wanted in names else studio.home_name
        if link.library and link.library not in names:
            gr.Warning(f"There is no library “{link.library}” here.")
        tab = gr.update(selected=link.tab) if link.tab in TAB_IDS else gr.skip()
        return tab, library, link.find

    with gr.Blocks(title="GraFPrint", analytics_enabled=False, delete_cache=DELETE_CACHE_S) as page:
        gr.HTML(
            "<h1>GraFPrint</h1><p>Which recording is this, and where in it are we?</p>"
            f'<div id="note" role="status" data-max-mb="{MAX_FILE_MB}"></div>',
            elem_id="title",
            padding=False,
        )
        visit = Visit.begin(studio)
        in_use = gr.HTML(describe(studio.home_name), elem_id="in-use", padding=False)
        gr.on(
            [visit.library.change, visit.changes.change],
            describe,
            visit.library,
            in_use,
            **UNQUEUED,
        )
        needed = {"Tags": studio.tagger, "Samples": studio.sampling}
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            for tab_id, (title, build_tab) in zip(TAB_IDS, TABS, strict=True):
                if title in needed and needed[title] is None:
                    continue
                with gr.Tab(title, id=tab_id) as tab:
                    build_tab(studio, visit, tab)
                    tab.select(describe, visit.library, in_use, **UNQUEUED)
        # Queued, because only queued events trigger the change events of states.
        page.load(
            arrive,
            gr.Textbox(visible=False),
            [tabs, visit.library, visit.find],
            js="() => window.grafprint.arrival()",
            show_progress="hidden",
            api_visibility="private",
        )
    return page


def launch(
    studio: Studio, *, share: bool = False, root_path: str | None = None, **options: Any
) -> gr.Blocks:
    """Serve the page; ``options`` go to Gradio's launch. Returns the running page.

    ``root_path`` is the path, or the whole address, at which a reverse proxy offers it.
    """
    page = build(studio)
    page.queue(max_size=64)
    page.launch(
        theme=THEME,
        css=CSS,
        head=HEAD,
        share=share,
        ssr_mode=False,
        enable_monitoring=False,  # that page would show the requests of all visitors
        show_error=True,
        state_session_capacity=VISITS,
        max_file_size=MAX_FILE_MB * 1_000_000,
        **proxy.options(root_path),
        **options,
    )
    return page
