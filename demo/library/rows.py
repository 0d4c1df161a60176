"""The table of a library's tracks: play, sort, and remove a track in its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from demo import clips, texts
from demo.clips import ClipError
from demo.library import cards as library_cards
from demo.library import shelf
from demo.library.changes import CHANGE_LIMIT
from demo.library.contents import ORDERS
from demo.library.shelf import ShelfError
from demo.studio import UNQUEUED, Studio, Visit
from grafprint.library import LibraryError, Track

LONGEST_S = 60.0  # of a track that is played: what is sent grows with it
_SCRIPT = (Path(__file__).parent / "rows.js").read_text(encoding="utf-8")


class Table(NamedTuple):
    """The component with the rows, and the events after which it must be drawn anew."""

    contents: gr.HTML
    sorted_anew: Any
    removed: Any


def build(studio: Studio, visit: Visit, contents: str, order: gr.State) -> Table:
    """The table, the player above it, and the question before a track is removed."""

    def track_of(name: str, event: gr.EventData) -> Track:
        number = event._data.get("track") if isinstance(event._data, dict) else None
        return studio.identifier(name).library.track(number if isinstance(number, int) else 0)

    def play(name: str, event: gr.EventData) -> tuple[Any, str]:
        try:
            track = track_of(name, event)
            clip = clips.from_track(studio.identifier(name).library, track, 0.0, LONGEST_S)
        except (ClipError, LibraryError) as error:
            return gr.update(value=None, visible=False), library_cards.problem(error)
        part = f", the first {texts.clock(LONGEST_S)}" if track.duration_s > LONGEST_S else ""
        return gr.update(value=clip.playable(), label=track.title + part, visible=True), ""

    def sort(order: str, event: gr.EventData) -> str:
        key = event._data.get("key") if isinstance(event._data, dict) else None
        if key not in ORDERS:
            return order
        return f"-{key}" if key == order else key

    def ask(name: str, event: gr.EventData) -> tuple[Any, ...]:
        try:
            track = track_of(name, event)
        except LibraryError as error:
            return library_cards.problem(error), gr.update(visible=False), None
        text = f"Remove “{track.title}” from the library “{name}”? Its audio file is not deleted."
        card = library_cards.card("unknown", "Remove", text)
        return card, gr.update(visible=True), (name, track.id)

    def remove(chosen: tuple[str, int] | None) -> tuple[Any, ...]:
        try:
            track = shelf.remove(studio, *(chosen or ("", 0)))
        except (ShelfError, LibraryError) as error:
            return library_cards.problem(error), gr.update(visible=False)
        return library_cards.card("found", "Removed", track.title), gr.update(visible=False)

    report = gr.HTML("", elem_id="library-row-report", padding=False)
    with gr.Row(visible=False) as question:
        yes = gr.Button("Yes, remove", variant="stop")
        no = gr.Button("Cancel")
    player = gr.Audio(
        visible=False,
        interactive=False,
        autoplay=True,
        buttons=["download"],
        elem_id="library-player",
    )
    table = gr.HTML(contents, js_on_load=_SCRIPT, elem_id="contents", padding=False)
    victim = gr.State(None)

    queued: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    events: Any = table  # Gradio makes a listener of every event that the script names
    events.play(play, visit.library, [player, report], **queued)
    sorted_anew = events.sort(sort, order, order, **UNQUEUED)
    events.remove(ask, visit.library, [report, question, victim], **UNQUEUED)
    no.click(lambda: ("", gr.update(visible=False)), None, [report, question], **UNQUEUED)
    removed = yes.click(remove, victim, [report, question], **queued, **CHANGE_LIMIT)
    visit.library.change(
        lambda: ("", gr.update(visible=False), gr.update(value=None, visible=False)),
        None,
        [report, question, player],
        **UNQUEUED,
    )
    return Table(table, sorted_anew, removed)
