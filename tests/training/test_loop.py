"""The training loop: what happens at which step, stopping, and divergence."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from grafprint.errors import CheckpointError, DivergedError
from grafprint.training.config import DistillationConfig, learning_rate_at
from grafprint.training.loop import Cadence, load_state, run_loop, save_state

CADENCE = Cadence(steps=7, validate_every=3, report_every=2, save_every=4)


class Recorder:
    """A training that records what the loop asks of it; its loss is the number of the step."""

    def __init__(self, diverges_at: int = 100) -> None:
        self.diverges_at = diverges_at
        self.calls: list[tuple[str, int]] = []
        self.figures: list[list[float]] = []

    def batches(self, first: int) -> Iterator[tuple[int, str]]:
        yield from ((step, "batch") for step in range(first, CADENCE.steps))

    def step(self, step: int, batch: str) -> torch.Tensor:
        assert batch == "batch"
        return torch.tensor([math.nan if step == self.diverges_at else float(step), 1.0])

    def validate(self, done: int) -> None:
        self.calls.append(("validate", done))

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        self.calls.append(("report", done))
        self.figures.append(figures)

    def save(self, done: int) -> None:
        self.calls.append(("save", done))


def test_everything_happens_at_its_step_and_at_the_last_one(tmp_path: Path):
    training = Recorder()
    assert run_loop(training, CADENCE, tmp_path)
    assert training.calls == [
        ("report", 2), ("validate", 3), ("report", 4), ("save", 4), ("validate", 6), ("report", 6),
        ("validate", 7), ("report", 7), ("save", 7),
    ]  # fmt: skip
    assert training.figures == [[0.5, 1.0], [2.5, 1.0], [4.5, 1.0], [6.0, 1.0]]


def test_a_stopped_run_is_saved_and_starts_again_at_the_next_step(tmp_path: Path):
    training, asked = Recorder(), iter(range(100))
    assert not run_loop(training, CADENCE, tmp_path, stop=lambda: next(asked) == 3)
    assert training.calls[-1] == ("save", 3)
    assert run_loop(training, CADENCE, tmp_path, first=3)
    assert training.figures[1:] == [[3.0, 1.0], [4.5, 1.0], [6.0, 1.0]]


def test_a_loss_that_is_not_finite_ends_the_run_before_it_is_saved(tmp_path: Path):
    training = Recorder(diverges_at=2)
    with pytest.raises(DivergedError, match="by step 4 the loss"):
        run_loop(training, CADENCE, tmp_path)
    assert ("save", 4) not in training.calls


def test_a_state_is_restored_and_another_kind_or_network_refused(tmp_path: Path):
    def network(width: int = 3) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
        layer = torch.nn.Linear(2, width)
        return layer, torch.optim.AdamW(layer.parameters(), 0.1)

    layer, optimiser = network()
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    path = tmp_path / "state.safetensors"
    save_state(path, "training", 5, layer, optimiser, {"memory": torch.ones(4)}, {"more": 1})
    other, its_optimiser = network()
    done, tensors, header = load_state(path, "training", other, its_optimiser)
    assert done == 5 and header["more"] == 1 and torch.equal(tensors["memory"], torch.ones(4))
    assert torch.equal(other.weight, layer.weight)
    for key, slots in optimiser.state_dict()["state"].items():
        assert all(torch.equal(v, its_optimiser.state_dict()["state"][key][k])
                   for k, v in slots.items())  # fmt: skip
    with pytest.raises(CheckpointError, match="not the state of a distillation"):
        load_state(path, "imitation", other, its_optimiser)
    with pytest.raises(CheckpointError, match="does not fit the network"):
        load_state(path, "training", *network(width=4))
    with torch.no_grad():
        layer.weight[0, 0] = math.inf
    with pytest.raises(DivergedError, match="weights are"):
        save_state(path, "training", 6, layer, optimiser)
    assert load_state(path, "training", other, its_optimiser)[0] == 5


def test_in_distillation_the_cosine_starts_with_the_warm_up():
    config = DistillationConfig(steps=1000, warmup_steps=100)
    rate, final = config.learning_rate, config.final_learning_rate
    assert learning_rate_at(0, config) == pytest.approx(rate / 100)
    falling = final + (rate - final) * 0.5 * (1 + math.cos(math.pi * 0.05))
    assert learning_rate_at(50, config) == pytest.approx(falling * 0.51)
    assert learning_rate_at(500, config) == pytest.approx((rate + final) / 2)
    assert learning_rate_at(1000, config) == pytest.approx(final)
