"""The clips that a command is given: files, folders of them, and standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grafprint.cli.console import finite
from grafprint.errors import AudioError

if TYPE_CHECKING:
    from grafprint.audio.folders import Failure

STANDARD_INPUT = Path("-")

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
