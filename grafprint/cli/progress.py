"""Progress on stderr: bars on a terminal, and a line every few seconds where it is a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from grafprint.cli.console import clock, err, escape

# Seconds between the lines of a log: these, and later a share of what has passed.
SHORTEST_S, LONGEST_S, SHARE = 4.0, 60.0, 0.05


def progress(*columns: ProgressColumn) -> Progress:
    """Progress on stderr, by default with a count, elapsed and remaining time.

    File names in descriptions need ``printable``, and a TextColumn without markup.
    """
    columns = columns or (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=err) if err.is_terminal else _Log(*columns)


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """Say what goes on, while it does; the function that is returned changes the text."""
    if err.is_terminal:
        with err.status(text) as shown:
            yield shown.update
        return
    current, began = [text], time.monotonic()

    def tell() -> None:
        err.print(f"{current[0]}  {clock(time.monotonic() - began)}", soft_wrap=True)

    repeated = _Repeated(tell)
    repeated.start()
    try:
        yield lambda changed: current.__setitem__(0, changed)
    finally:
        repeated.stop()


class _Repeated:
    """Calls a function every few seconds, on a thread of its own: also while others are busy."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell, self._ended = tell, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(pause(time.monotonic() - began)):
            self._tell()


def pause(elapsed_s: float) -> float:
    """Seconds until the next line of a log: few at first, a minute in work of hours."""
    return min(max(SHORTEST_S, SHARE * elapsed_s), LONGEST_S)


class _Log(Progress):
    """Progress as lines: what the columns show, without the bar."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=err, disable=True)
        self._repeated = _Repeated(self._tell)
        self._finished: set[TaskID] = set()  # tasks whose last line has been printed

    def start(self) -> None:
        self._repeated.start()

    def stop(self) -> None:
        self._repeated.stop()

    def _tell(self) -> None:
        tasks = self.tasks
        for task in tasks:
            if task.visible and task.id not in self._finished:
                err.print("  ".join(self._texts(task)), highlight=False, soft_wrap=True)
                # The last one may be followed by work that has no count.
                if task.finished and task is not tasks[-1]:
                    self._finished.add(task.id)

    def _texts(self, task: Task) -> Iterator[str]:
        for column in self.columns:
            if isinstance(column, BarColumn) or not isinstance(column, ProgressColumn):
                continue
            text = escape(str(column.render(task)).strip())
            if isinstance(column, TimeElapsedColumn):
                text += " passed"
            elif isinstance(column, TimeRemainingColumn):
                text = "" if task.finished or "-" in text else f"{text} left"
            if text:
                yield text
