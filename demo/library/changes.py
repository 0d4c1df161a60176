"""Changes to libraries, part of the tab Library: new ones, files, folders, removal."""

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
from demo.studio import AT_ONCE, Studio, Visit
from grafprint.library import LibraryError
from grafprint.library.add_folder import IndexReport, IndexStep

MOST_CHOICES = 200  # tracks offered for removal; a search narrows them down
# One change at a time on the whole server; the others wait.
TURN: dict[str, Any] = {"concurrency_id": "change", "concurrency_limit": 1}

Steps = Generator[IndexStep, None, None]


def build(
    studio: Studio,
    visit: Visit,
    chosen: gr.Dropdown,
    search: gr.Textbox,
    opened: Callable[[str, str], tuple[Any, ...]],
    shown: list[Any],
) -> None:
    """The controls. ``opened(library, search)`` shows a library anew in the outputs ``shown``."""
    turn = work.Turn()

    def follow(steps: Steps, stop: work.Stop) -> Iterator[str]:
        """The card of an addition while it goes on, and what has become of it at the end."""
        try:
            with turn.taken, contextlib.closing(steps):
                for step in steps:
                    if stop.wanted or not step.path:
                        break
                    yield library_cards.at_work(step)
            yield library_cards.done(step)
        except (ShelfError, LibraryError) as error:
            yield problem(error)

    # Names other than the endpoints' below: Gradio counts both, and numbers the later one.
    def take_files(paths: list[str] | None, name: str, stop: work.Stop) -> Iterator[str]:
        if not paths:
            yield problem(ShelfError("Choose files first."))
            return
        yield from follow(shelf.add_uploads(studio, name, list(map(Path, paths))), stop)

    def take_folder(folder: str, name: str, stop: work.Stop) -> Iterator[str]:
        yield from follow(shelf.add_folder(studio, name, folder), stop)

    def create(wanted: str, name: str, search: str) -> tuple[Any, ...]:
        try:
            made = shelf.create(studio, wanted)
        except ShelfError as error:
            return problem(error), wanted, name, search, *opened(name, search)
        text = f"The library “{made}” is made and in use: add music to it."
        return library_cards.said("found", "Done", text), "", made, "", *opened(made, "")

    def renew(name: str, search: str, changes: int) -> tuple[Any, ...]:
        return *opened(name, search), changes + 1

    def choices(name: str, search: str) -> Any:
        found = [] if shelf.why_not(studio, name) else tracks(name, search)
        return gr.update(choices=found, value=None)

    def tracks(name: str, search: str) -> list[tuple[str, int]]:
        try:
            found = studio.identifier(name).library.tracks(search)[:MOST_CHOICES]
        except LibraryError:
            return []
        return [(" – ".join(filter(None, (t.title, t.artist))), t.id) for t in found]

    def ask(track_id: int | None, name: str) -> tuple[Any, ...]:
        if track_id is None:
            return problem(ShelfError("Choose a track first.")), gr.update(visible=False)
        try:
            title = studio.identifier(name).library.track(track_id).title
        except LibraryError as error:
            return problem(error), gr.update(visible=False)
        text = f"Remove “{title}” from the library “{name}”? Its music file stays where it is."
        return library_cards.said("unknown", "Remove", text), gr.update(visible=True)

    def remove(track_id: int | None, name: str) -> tuple[Any, ...]:
        try:
            track = shelf.remove(studio, name, int(track_id or 0))
        except (ShelfError, LibraryError) as error:
            return problem(error), gr.update(visible=False)
        return library_cards.said("found", "Removed", track.title), gr.update(visible=False)

    def allow(name: str) -> tuple[Any, ...]:
        refusal = shelf.why_not(studio, name)
        return gr.update(value=refusal, visible=bool(refusal)), gr.update(visible=not refusal)

    stop = gr.State(work.Stop())
    with gr.Row():
        wanted = gr.Textbox(
            label="New library",
            placeholder="its name",
            max_lines=1,
            elem_id="library-new",
            min_width=240,
        )
        make = gr.Button("Make", scale=0, min_width=130)
    note = gr.Markdown(shelf.why_not(studio, studio.home.name), elem_id="library-note")
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
                label="Add a folder of the computer that runs this page",
                info="Its files stay where they are. Added again, only what is new is looked at.",
                placeholder="/home/me/music",
                max_lines=1,
                elem_id="library-folder",
                min_width=240,
            )
            add_all = gr.Button("Add folder", scale=0, min_width=130)
        with gr.Row():
            victim = gr.Dropdown(
                [], value=None, label="Remove a track",
                info="Offered is what the search above finds.", elem_id="library-remove",
                min_width=240,
            )  # fmt: skip
            ask_first = gr.Button("Remove…", scale=0, min_width=130)
    report = gr.HTML("", elem_id="library-report", padding=False)
    with gr.Row(visible=False) as sure:
        yes = gr.Button("Yes, remove", variant="stop")
        no = gr.Button("Keep it")
    end = gr.Button("Stop", visible=False, size="sm", elem_id="library-stop")

    here = [visit.library, search]
    queued: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    private: dict[str, Any] = {**queued, **TURN}
    for button, source, action in ((add, files, take_files), (add_all, folder, take_folder)):
        began = button.click(
            lambda s: (turn.begin(s), gr.update(visible=True), *[gr.update(interactive=False)] * 2),
            stop,
            [report, end, add, add_all],
            **AT_ONCE,
        )
        over = began.then(action, [source, visit.library, stop], report, **private)
        over.then(
            lambda: (gr.update(visible=False), *[gr.update(interactive=True)] * 2),
            None, [end, add, add_all], **AT_ONCE,
        )  # fmt: skip
        renewed = over.then(renew, [*here, visit.changes], [*shown, visit.changes], **queued)
        renewed.then(choices, here, victim, **AT_ONCE)
        if source is files:
            over.then(lambda: None, None, files, **AT_ONCE)
    end.click(work.Stop.halt, stop, report, **AT_ONCE)
    gr.on([make.click, wanted.submit], create, [wanted, *here],
          [report, wanted, visit.library, search, *shown], **private)  # fmt: skip
    ask_first.click(ask, [victim, visit.library], [report, sure], **AT_ONCE)
    no.click(lambda: ("", gr.update(visible=False)), None, [report, sure], **AT_ONCE)
    removed = yes.click(remove, [victim, visit.library], [report, sure], **private)
    renewed = removed.then(renew, [*here, visit.changes], [*shown, visit.changes], **queued)
    renewed.then(choices, here, victim, **AT_ONCE)
    visit.library.change(allow, visit.library, [note, controls], **AT_ONCE)
    gr.on([visit.library.change, search.change], choices, here, victim, **AT_ONCE)


def endpoints(studio: Studio) -> None:
    """The same for programs; each change is refused where the page may not make it."""

    def create_library(name: str) -> str:
        """Make an empty library; returns its name."""
        try:
            return shelf.create(studio, name)
        except ShelfError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def add_files(files: list[str], library: str) -> Iterator[dict[str, Any]]:
        """Add audio files to a library. Tells what has become of each so far, and at the end."""
        uploads = list(map(Path, files or []))
        yield from told(shelf.add_uploads(studio, library, uploads))

    def add_folder(folder: str, library: str) -> Iterator[dict[str, Any]]:
        """Add a folder of the server to a library. Tells what has become of each file so far."""
        yield from told(shelf.add_folder(studio, library, folder))

    def told(steps: Steps) -> Iterator[dict[str, Any]]:
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
        files, text, found = gr.File(file_count="multiple"), gr.Textbox(), gr.JSON()
        public = gr.Button()
        public.click(create_library, name, text, api_name="create_library", **TURN)
        public.click(add_files, [files, name], found, api_name="add_files", **TURN)
        public.click(add_folder, [folder, name], found, api_name="add_folder", **TURN)
        public.click(remove_track, [number, name], text, api_name="remove_track", **TURN)


def problem(error: Exception) -> str:
    """The card of a change that was not made, and why."""
    return library_cards.said("problem", "That did not work", str(error))


def _as_json(report: IndexReport) -> dict[str, Any]:
    found = asdict(report)
    for kind in ("added", "updated", "unchanged", "duplicates"):
        found[kind] = [Path(path).name for path in found[kind]]
    found["failed"] = [
        {"file": Path(failure.path).name, "reason": shelf.reason(failure)}
        for failure in report.failed
    ]
    return {k: v for k, v in found.items() if k not in ("missing", "removed")}
