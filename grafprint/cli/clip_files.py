"""The clips that a command is given: files, folders of them, and standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import typer

from grafprint.cli.console import (
    FAILED,
    NOTHING_FOUND,
    escape,
    finite,
    out,
    print_json,
    printable,
)
from grafprint.cli.progress import progress
from grafprint.errors import AudioError, MatchError

if TYPE_CHECKING:
    from grafprint.audio.folders import Failure

STANDARD_INPUT = Path("-")

Answer = TypeVar("Answer")

StartOption = Annotated[
    float, typer.Option(min=0, callback=finite, help="Skip this many seconds of the clip.")
]


@dataclass(frozen=True, eq=False)
class Outcome(Generic[Answer]):
    """A clip, and its answer or the reason why there is none."""

    clip: str
    answer: Answer | None
    error: str = ""


def find_clips(
    clips: list[Path], passed_over: list[Failure] | None = None
) -> tuple[list[Path], list[Failure]]:
    """The files, those of folders among them, and the folders that could not be read.

    Files in folders that are no audio are added to ``passed_over``. Raises AudioError if there is
    nothing at all.
    """
    from grafprint.audio.folders import audio_files

    unreadable: list[Failure] = []
    files: list[Path] = []
    for clip in clips:
        files += audio_files(clip, unreadable, passed_over) if clip.is_dir() else [clip]
    if not files and not unreadable:
        raise AudioError("there is no audio or video file: name one, or a folder that holds some")
    return files, unreadable


def answer_each(
    clips: list[Path],
    answer: Callable[[Path, Callable[[str], None]], Answer],
    outcomes: list[Outcome[Answer]],
    alone: bool,
) -> bool:
    """Add the outcome for each clip, with progress; False if interrupted, which loses nothing.

    ``answer`` is given the clip and a function to say how far it is. If there is one clip
    ``alone``, what is wrong with it is raised.
    """
    from grafprint.library.add_file import shown

    with progress() as bar:
        task = bar.add_task("", total=len(clips))
        for clip in clips:
            name = printable(clip.name[:40])
            bar.update(task, description=name)

            def tell(how_far: str, name: str = name) -> None:
                bar.update(task, description=f"{name} {how_far}")

            try:
                outcomes.append(Outcome(shown(clip), answer(clip, tell)))
            except (AudioError, MatchError) as error:
                if alone:
                    raise
                outcomes.append(Outcome(shown(clip), None, str(error)))
            except KeyboardInterrupt:
                return False
            bar.update(task, advance=1)
    return True


def exit_status(
    outcomes: Sequence[Outcome[Answer]], says_something: Callable[[Answer], object]
) -> int:
    """0 if an answer says something, 1 if none does, 2 if a clip has no answer."""
    answers = [outcome.answer for outcome in outcomes if outcome.answer is not None]
    if len(answers) < len(outcomes):
        return FAILED
    return 0 if any(map(says_something, answers)) else NOTHING_FOUND


def print_as_json(
    outcomes: Sequence[Outcome[Answer]], to_json: Callable[[Answer], dict[str, Any]], alone: bool
) -> None:
    """Print an object for a clip ``alone``, otherwise a list with an object for each.

    Each has the clip's path, and its answer or the error.
    """
    values = [
        {"path": o.clip} | ({"error": o.error} if o.answer is None else to_json(o.answer))
        for o in outcomes
    ]
    print_json(values[0] if alone and values else values)


def show_failed(outcomes: Sequence[Outcome[Answer]]) -> None:
    """Print a line for each clip that has no answer."""
    for outcome in outcomes:
        if outcome.answer is None:
            line = f"left out: {escape(outcome.error)}"
            out.print(line, highlight=False, soft_wrap=True)


@contextmanager
def file_of(clip: Path) -> Iterator[Path]:
    """The file of a clip; what comes from standard input is kept in one meanwhile."""
    if clip != STANDARD_INPUT:
        yield clip
        return
    if sys.stdin.isatty():
        raise AudioError("standard input is a terminal: pipe a clip into the command")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "standard input")
        with file.open("wb") as opened:
            shutil.copyfileobj(sys.stdin.buffer, opened)
        yield file
