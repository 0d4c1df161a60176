"""The clips that a command is given: files, folders of them, and standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from grafprint.cli.console import finite, printable
from grafprint.cli.progress import progress
from grafprint.errors import AudioError, MatchError

if TYPE_CHECKING:
    from grafprint.audio.folders import Failure

STANDARD_INPUT = Path("-")

Answer = TypeVar("Answer")
Outcome = TypeVar("Outcome")

StartOption = Annotated[
    float, typer.Option(min=0, callback=finite, help="Skip this many seconds of the clip.")
]


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
    outcome: Callable[[str, Answer | None, str], Outcome],
    outcomes: list[Outcome],
    alone: bool,
) -> bool:
    """Add the outcome for each clip, with progress; False if interrupted, which loses nothing.

    ``answer`` is given the clip and a function to say how far it is. An outcome is made of the
    clip's name, and its answer or the reason why there is none; if there is one clip ``alone``,
    what is wrong with it is raised.
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
                outcomes.append(outcome(shown(clip), answer(clip, tell), ""))
            except (AudioError, MatchError) as error:
                if alone:
                    raise
                outcomes.append(outcome(shown(clip), None, str(error)))
            except KeyboardInterrupt:
                return False
            bar.update(task, advance=1)
    return True


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
