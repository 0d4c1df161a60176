"""The tab Library: choose a library, see and hear what it contains and, if allowed, change it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demo.library import cards as library_cards
from demo.library import changes, rows, shelf
from demo.studio import UNQUEUED, Studio, Visit
from grafprint.library import LibraryError


def build(studio: Studio, visit: Visit, tab: gr.Tab) -> None:
    """The components and events of the tab."""

    def describe(name: str, search: str, order: str) -> tuple[str, str]:
        try:
            library = studio.identifier(name).library
        except LibraryError:
            gone = f"The library “{name}” can no longer be used: choose another."
            return library_cards.card("problem", "That did not work", gone), ""
        removable = not shelf.why_not(studio, name)
        found = library.tracks(search)
        table = library_cards.tracks(found, search, len(library.tracks()), order, removable)
        return library_cards.facts(shelf.facts(studio, name)), table

    def refresh(name: str, search: str, order: str) -> tuple[Any, ...]:
        return gr.update(choices=studio.names(), value=name), *describe(name, search, order)

    def switch(chosen: str, name: str, search: str, order: str) -> tuple[Any, ...]:
        try:
            studio.identifier(chosen)
        except LibraryError:
            gr.Warning(
                f"The library “{chosen}” cannot be used: it is damaged, or was made with another "
                "network."
            )
            chosen = name
        return chosen, *refresh(chosen, search, order)

    def tracks(search: str = "", library: str = "") -> list[dict[str, Any]]:
        """The tracks of a library that contain every word of the search; all, if that is empty."""
        try:
            return shelf.listed(studio, library or studio.home_name, search or "")
        except LibraryError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def library_facts(library: str = "") -> dict[str, Any]:
        """Facts about a library: tracks, hours, fingerprints, size, index, network, licences."""
        try:
            values = shelf.facts(studio, library or studio.home_name)
            return values | {"libraries": studio.names()}
        except LibraryError as error:
            raise gr.Error(str(error), print_exception=False) from error

    home = studio.home_name
    facts, contents = describe(home, "", "title")
    with gr.Row():
        chosen = gr.Dropdown(
            studio.names(),
            value=home,
            label="Library in use, on all tabs",
            elem_id="library-name",
            min_width=240,
        )
        search = gr.Textbox(
            label="Search",
            placeholder="words of title, artist, album",
            elem_id="library-search",
            min_width=240,
        )
    overview = gr.HTML(facts, elem_id="library-facts", padding=False)
    order = gr.State("title")
    table = rows.build(studio, visit, contents, order)
    shown = [overview, table.contents]
    here, all_shown = [visit.library, search, order], [chosen, *shown]
    tab.select(refresh, here, all_shown, **UNQUEUED)
    # Queued, because only queued events trigger the change event of a state.
    chosen.input(
        switch,
        [chosen, *here],
        [visit.library, *all_shown],
        show_progress="hidden",
        api_visibility="private",
    )
    # Not ``input``: Gradio raises no such event when the field is emptied.
    search.change(describe, here, shown, trigger_mode="always_last", **UNQUEUED)
    table.sorted_anew.then(describe, here, shown, **UNQUEUED)
    # Queued, because only queued events trigger the change event of a state.
    counted = table.removed.then(
        lambda changes: changes + 1,
        visit.changes,
        visit.changes,
        show_progress="hidden",
        api_visibility="private",
    )
    counted.then(refresh, here, all_shown, **UNQUEUED)

    with gr.Accordion("Change libraries", open=False, elem_id="library-change"):
        if studio.editable:
            changes.build(studio, visit, here, search, refresh, all_shown)
        else:
            gr.Markdown(shelf.HOW_TO_ALLOW)
    changes.endpoints(studio)
    with gr.Row(visible=False):
        words, name = gr.Textbox(""), gr.Textbox("")
        gr.Button().click(tracks, [words, name], gr.JSON(), api_name="tracks")
        gr.Button().click(library_facts, name, gr.JSON(), api_name="library_facts")
