"""The part of the tab Library that changes libraries: create one, add music to it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from demo import work
from demo.library import cards as library_cards
from demo.library import shelf
from demo.library.shelf import ShelfError
from demo.studio import UNQUEUED, Studio, Visit
from grafprint.library import LibraryError
from grafprint.library.add_folder import IndexReport, IndexStep

# One change at a time on the whole server; others wait in the queue.
CHANGE_LIMIT: dict[str, Any] = {"concurrency_id": "change", "concurrency_limit": 1}

Steps = Generator[IndexStep, None, None]


def build(
    studio: Studio,
    visit: Visit,
    here: list[Any],
    search: gr.Textbox,
    refresh: Callable[[str, str, str], tuple[Any, ...]],
    shown: list[Any],
) -> None:
    """The controls. ``refresh(*here)`` gives new values for the outputs ``shown``.

    ``here`` is the library, the search and the order.
    """
    turn = work.Turn()

    def follow(steps: Steps, stop: work.Stop) -> Iterator[str]:
        """Yield the card of an addition: its progress, then its result."""
        try:
            with turn.lock, contextlib.closing(steps):
                for step in steps:
                    if stop.wanted or not step.path:
                        break
                    yield library_cards.progress(step)
            yield library_cards.summary(step)
        except (ShelfError, LibraryError) as error:
            yield library_cards.problem(error)

    # Not named like the endpoints below: Gradio would append a number to the second of two names.
    def upload_files(paths: list[str] | None, name: str, stop: work.Stop) -> Iterator[str]:
        if not paths:
            yield library_cards.problem(ShelfError("Choose files first."))
            return
        yield from follow(shelf.add_uploads(studio, name, list(map(Path, paths))), stop)

    def scan_folder(folder: str, name: str, stop: work.Stop) -> Iterator[str]:
        yield from follow(shelf.add_folder(studio, name, folder), stop)

    def create(wanted: str, name: str, search: str, order: str) -> tuple[Any, ...]:
        try:
            created = shelf.create(studio, wanted)
        except ShelfError as error:
            return library_cards.problem(error), wanted, name, search, *refresh(name, search, order)
        text = f"The library “{created}” has been created and is in use. Add music to it."
        report = library_cards.card("found", "Done", text)
        return report, "", created, "", *refresh(created, "", order)

    def count_change(name: str, search: str, order: str, changes: int) -> tuple[Any, ...]:
        return *refresh(name, search, order), changes + 1

    def allow(name: str) -> tuple[Any, ...]:
        refusal = shelf.why_not(studio, name)
        return gr.update(value=refusal, visible=bool(refusal)), gr.update(visible=not refusal)

    stop = gr.State(work.Stop())
    with gr.Row():
        wanted = gr.Textbox(
            label="New library",
            placeholder="name",
            max_lines=1,
            elem_id="library-new",
            min_width=240,
        )
        make = gr.Button("Create", scale=0, min_width=130)
    note = gr.Markdown(shelf.why_not(studio, studio.home_name), elem_id="library-note")
    with gr.Column(visible=False) as controls:
        with gr.Row():
            files = gr.File(
                label="Add files",
                file_count="multiple",
                height=160,
                elem_id="library-files",
                min_width=240,
            )
            add = gr.Button("Add", scale=0, min_width=130, elem_id="library-add")
        with gr.Row():
            folder = gr.Textbox(
                label="Add a folder of the computer that runs this app",
                info="Its files stay where they are. Adding it again processes only new files.",
                placeholder="/home/me/music",
                max_lines=1,
                elem_id="library-folder",
                min_width=240,
            )
            add_all = gr.Button("Add folder", scale=0, min_width=130)
    report = gr.HTML("", elem_id="library-report", padding=False)
    end = gr.Button("Stop", visible=False, size="sm", elem_id="library-stop")

    queued: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    private: dict[str, Any] = {**queued, **CHANGE_LIMIT}
    for button, source, action in ((add, files, upload_files), (add_all, folder, scan_folder)):
        began = button.click(
            lambda s: (turn.begin(s), gr.update(visible=True), *[gr.update(interactive=False)] * 2),
            stop,
            [report, end, add, add_all],
            **UNQUEUED,
        )
        over = began.then(action, [source, visit.library, stop], report, **private)
        over.then(
            lambda: (gr.update(visible=False), *[gr.update(interactive=True)] * 2),
            None,
            [end, add, add_all],
            **UNQUEUED,
        )
        over.then(count_change, [*here, visit.changes], [*shown, visit.changes], **queued)
        if source is files:
            over.then(lambda: None, None, files, **UNQUEUED)
    end.click(work.Stop.halt, stop, report, **UNQUEUED)
    gr.on(
        [make.click, wanted.submit],
        create,
        [wanted, *here],
        [report, wanted, visit.library, search, *shown],
        **private,
    )
    visit.library.change(allow, visit.library, [note, controls], **UNQUEUED)


def endpoints(studio: Studio) -> None:
    """The endpoints. They refuse what the page may not do."""

    def create_library(name: str) -> str:
        """Create an empty library; returns its name."""
        try:
            return shelf.create(studio, name)
        except ShelfError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def add_files(files: list[str], library: str) -> Iterator[dict[str, Any]]:
        """Add audio files to a library. Yields the result of each file so far."""
        uploads = list(map(Path, files or []))
        yield from reports(shelf.add_uploads(studio, library, uploads))

    def add_folder(folder: str, library: str) -> Iterator[dict[str, Any]]:
        """Add a folder of the server to a library. Yields the result of each file so far."""
        yield from reports(shelf.add_folder(studio, library, folder))

    def reports(steps: Steps) -> Iterator[dict[str, Any]]:
        try:
            for step in steps:
                yield {"done": step.done, "total": step.total, **_as_json(step.report)}
        except (ShelfError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    def remove_track(track: int, library: str) -> str:
        """Remove a track, by its id from /tracks, from a library; returns its title."""
        try:
            return shelf.remove(studio, library, int(track)).title
        except (ShelfError, LibraryError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Row(visible=False):
        name, folder, number = gr.Textbox(""), gr.Textbox(""), gr.Number(0, precision=0)
        files, text, result = gr.File(file_count="multiple"), gr.Textbox(), gr.JSON()
        public = gr.Button()
        public.click(create_library, name, text, api_name="create_library", **CHANGE_LIMIT)
        public.click(add_files, [files, name], result, api_name="add_files", **CHANGE_LIMIT)
        public.click(add_folder, [folder, name], result, api_name="add_folder", **CHANGE_LIMIT)
        public.click(remove_track, [number, name], text, api_name="remove_track", **CHANGE_LIMIT)


def _as_json(report: IndexReport) -> dict[str, Any]:
    fields = asdict(report)
    for kind in ("added", "updated", "unchanged", "duplicates"):
        fields[kind] = [Path(path).name for path in fields[kind]]
    fields["failed"] = [
        {"file": Path(failure.path).name, "reason": shelf.reason(failure)}
        for failure in report.failed
    ]
    return {k: v for k, v in fields.items() if k not in ("missing", "removed")}
