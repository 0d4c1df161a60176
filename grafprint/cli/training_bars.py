"""The progress of a command that trains: decoding, then steps with what they report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafprint.cli.console import err

if TYPE_CHECKING:
    from rich.progress import Progress

    from grafprint.training.loop import StepReport


class TrainingBars:
    """Two bars; its methods are what training calls. ``prepare`` names what follows decoding."""

    def __init__(self, bar: Progress, steps: int | None = None, prepare: str = "") -> None:
        self._bar, self._prepare = bar, prepare
        self._decoding = bar.add_task("decoding", total=None)
        self._training = bar.add_task("training", total=steps, visible=False)

    def on_decode(self, done: int, total: int) -> None:
        """So many of the files are decoded."""
        self._bar.update(self._decoding, completed=done, total=total)
        if self._prepare and done == total:
            self._bar.update(self._training, description=self._prepare, visible=True)

    def on_step(self, step: int) -> None:
        """So many steps are done, and one more begins."""
        if self._prepare and self._bar.tasks[self._training].description == self._prepare:
            self._bar.update(self._training, description="training")
        self._bar.update(self._training, completed=step, visible=True)

    def report(self, p: StepReport, line: str) -> None:
        """Show what a run reports, in words."""
        self._bar.update(
            self._training, completed=p.step, total=p.steps, description=line, visible=True
        )
        if not err.is_terminal:  # every report, so that a log has the whole course
            pace = f"{p.seconds_per_step:.2f} s per step, {p.eta_s / 60:.0f} min left"
            err.print(f"step {p.step}/{p.steps}  {line}  {pace}", soft_wrap=True)
