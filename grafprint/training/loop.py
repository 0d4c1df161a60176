"""The loop that all kinds of training share, and the state they resume from.

What happens at each point is up to the kind of training (:class:`Training`); when it happens, and
when a run has diverged, is decided here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from grafprint.errors import CheckpointError, DivergedError
from grafprint.models import checkpoint

_Batch = TypeVar("_Batch")

# The kinds of state file, by the name written in them.
_KINDS = {
    "training": "training run",
    "imitation": "distillation",
    "tagging": "tagger",
    "reranking": "re-ranker",
}


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What every kind of training reports; the loss is the mean since the last report."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    seconds_per_step: float
    validation: dict[str, float] | None = None  # scores by name

    @property
    def eta_s(self) -> float:
        """Estimated seconds to the end."""
        return (self.steps - self.step) * self.seconds_per_step


@dataclass(frozen=True, kw_only=True)
class Progress(StepReport):
    """Progress of training with pairs, which are found in their batch, or judged right."""

    accuracy: float  # share of the pairs, the mean since the last report


class Training(Protocol[_Batch]):
    """One kind of training; ``done`` is the number of steps finished."""

    def batches(self, first: int) -> Iterable[tuple[int, _Batch]]:
        """The number and batch of each step, from ``first`` to the last."""

    def step(self, step: int, batch: _Batch) -> Tensor:
        """Take one optimiser step; its figures ``[k]``, the loss first.

        They may stay on the device: reading them at every step would let a GPU run dry.
        """

    def validate(self, done: int) -> None:
        """Measure on held-out music, for the next report and save."""

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Take the figures' means and the pace since the last report."""

    def save(self, done: int) -> None:
        """Write the state and the network; DivergedError if the weights are not finite."""


@dataclass(frozen=True)
class Cadence:
    """How many steps a run has, and how many lie between validations, reports and saves.

    The last step is followed by all three.
    """

    steps: int
    validate_every: int
    report_every: int
    save_every: int

    def due(self, every: int, done: int) -> bool:
        """Whether something that happens ``every`` steps happens now."""
        return done % every == 0 or done == self.steps


def run_loop(
    training: Training[_Batch],
    cadence: Cadence,
    out: Path,
    first: int = 0,
    stop: Callable[[], bool] | None = None,
) -> bool:
    """Train from step ``first`` to the end: True. False if ``stop``, asked before each step, is.

    A stopped run has been saved. Raises DivergedError, naming the run's folder ``out``, if the
    loss is no longer finite.
    """
    sums, count, started = torch.zeros(()), 0, time.monotonic()
    for step, batch in training.batches(first):
        if stop and stop():
            training.save(step)
            return False
        sums = sums + training.step(step, batch)
        count += 1
        done = step + 1
        if cadence.due(cadence.validate_every, done):
            training.validate(done)
        if cadence.due(cadence.report_every, done):
            means = (sums / count).tolist()  # waits for the device
            if not math.isfinite(means[0]):
                raise DivergedError("loss is", done, out)
            training.report(done, means, (time.monotonic() - started) / count)
            sums, count, started = torch.zeros(()), 0, time.monotonic()
        if cadence.due(cadence.save_every, done):
            training.save(done)
    return True


def state_path(out: Path, resume: bool) -> Path:
    """The state file of the run in ``out``.

    Raises FileNotFoundError if it is missing on resuming, FileExistsError if it is there otherwise.
    """
    path = out / "state.safetensors"
    if resume and not path.exists():
        raise FileNotFoundError(f"{out}: nothing to resume there")
    if path.exists() and not resume:
        raise FileExistsError(f"{out} holds a run already; use --resume, or another --out")
    return path


def save_state(
    path: Path,
    kind: str,
    step: int,
    encoder: nn.Module,
    optimiser: torch.optim.Optimizer,
    tensors: dict[str, Tensor] | None = None,
    header: dict[str, Any] | None = None,
) -> None:
    """Write what a run needs to resume after ``step`` steps, and more tensors and header fields.

    Raises DivergedError, before anything is written, if weights are not finite.
    """
    if not all(p.isfinite().all() for p in encoder.parameters()):
        raise DivergedError("weights are", step, path.parent)
    slots, rest = checkpoint.pack_optimiser(optimiser)
    written = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    written |= {f"optimiser.{k}": v for k, v in slots.items()}
    facts = {"format": checkpoint.FORMAT, "kind": kind, "step": step, "optimiser": rest}
    checkpoint.write(path, written | (tensors or {}), facts | (header or {}))


def load_state(
    path: Path, kind: str, encoder: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, dict[str, Tensor], dict[str, Any]]:
    """Restore network and optimiser: ``(steps done, all tensors, header)``.

    Raises CheckpointError if the file is not a state of this kind, or does not fit the network.
    """
    tensors, header = checkpoint.read(path)
    if header.get("kind") != kind:
        raise CheckpointError(f"{path}: not the state of a {_KINDS[kind]}")
    try:
        encoder.load_state_dict(tensors_under(tensors, "encoder."))
        checkpoint.unpack_optimiser(
            optimiser, tensors_under(tensors, "optimiser."), header["optimiser"]
        )
        return int(header["step"]), tensors, header
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: the state does not fit the network: {error}") from error


def tensors_under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
