"""A tagger's training run: network, optimiser, one step of it, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from grafprint.errors import CheckpointError
from grafprint.models.taggers import ATGNN, ClipInput, features_of, save_tagger
from grafprint.threads import prefetch
from grafprint.training.loop import StepReport, load_state, save_state
from grafprint.training.run import torch_seed
from grafprint.training.tagging_batches import Clips, TaggingBatches, mask
from grafprint.training.tagging_config import TaggingConfig, learning_rate_at
from grafprint.training.tagging_validation import TaggingValidation

_KIND = "tagging"
_Batch = tuple[Tensor, Tensor]  # inputs [B, F, T], targets [B, S]


@dataclass(frozen=True, kw_only=True)
class TaggingProgress(StepReport):
    """Progress of a tagger's training; validation: ``mAP`` and ``d_prime`` of held-out clips."""

    epoch: float  # finished, with the fraction of the current one


def tagging_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, the mean over what is known: where targets ``[B, S]`` are not NaN.

    0 if nothing is known.
    """
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), targets.nan_to_num(), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp_min(1)


class TaggingRun:
    """A tagger's training for :func:`run_loop`; only process 0 measures, reports and saves."""

    def __init__(
        self,
        fabric: Fabric,
        config: TaggingConfig,
        labels: tuple[str, ...],
        batches: TaggingBatches,
        state: Path,
        on_progress: Callable[[TaggingProgress], None] | None,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.fabric, self.config, self.labels, self.clips = fabric, config, labels, batches
        self.state, self.on_progress, self.on_step = state, on_progress, on_step
        self.steps = config.epochs * batches.steps_per_epoch
        self.features = features_of(config.variant)
        self.inputs = ClipInput(self.features).to(fabric.device)
        torch.manual_seed(config.seed)
        network = ATGNN(config.network(len(labels)))
        self.raw = network.to(memory_format=torch.channels_last)
        self.raw_optimiser = torch.optim.Adam(self.raw.parameters(), config.learning_rate)
        self.validation: TaggingValidation | None = None
        self.scores: dict[str, float] | None = None

    def set_up(self) -> None:
        """Hand network and optimiser to Fabric; call it once the initial weights are in place."""
        self.network, self.optimiser = self.fabric.setup(self.raw, self.raw_optimiser)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step."""
        return learning_rate_at(step, self.clips.steps_per_epoch, self.config)

    def batches(self, first: int) -> Iterable[tuple[int, _Batch]]:
        """Inputs and targets, prefetched."""
        steps = range(first, self.steps)
        loader = self.fabric.setup_dataloaders(
            DataLoader(self.clips, None, sampler=steps, num_workers=self.config.workers),
            use_distributed_sampler=False,
        )
        return prefetch(self._inputs(zip(steps, cast(Iterable[Clips], loader), strict=True)))

    def _inputs(self, batches: Iterable[tuple[int, Clips]]) -> Iterator[tuple[int, _Batch]]:
        c = self.config
        for step, clips in batches:
            seed = torch_seed(c.seed, step, self.fabric.global_rank)
            generator = torch.Generator().manual_seed(seed)
            inputs = mask(self.inputs(clips.audio), c.frequency_mask, c.time_mask, generator)
            yield step, (inputs, clips.targets)

    def step(self, step: int, batch: _Batch) -> Tensor:
        """Take one optimiser step; its loss, [1]."""
        if self.on_step and self.fabric.is_global_zero:
            self.on_step(step)
        # For drop-path, which uses the global generator.
        torch.manual_seed(torch_seed(self.config.seed, step, self.fabric.global_rank))
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate(step)
        inputs, targets = batch
        loss = tagging_loss(self.network(inputs), targets)
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        if self.config.clip_gradients:
            # Infinite ones are the business of the loop, or of the scaler of 16-mixed.
            self.fabric.clip_gradients(
                self.network,
                self.optimiser,
                max_norm=self.config.clip_gradients,
                error_if_nonfinite=False,
            )
        self.optimiser.step()
        return loss.detach()[None]

    def validate(self, done: int) -> None:
        """Rank held-out clips, if the data has any."""
        if self.validation:
            if self.fabric.is_global_zero:
                self.scores = self.validation.scores(self.raw)
            self.fabric.barrier()

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Log to TensorBoard, and tell the caller."""
        logged = {
            "loss": figures[0],
            "learning_rate": self.learning_rate(done - 1),
            "seconds_per_step": seconds_per_step,
        }
        self.fabric.log_dict(logged | (self.scores or {}), done)
        if self.on_progress and self.fabric.is_global_zero:
            report = TaggingProgress(
                step=done,
                steps=self.steps,
                epoch=done / self.clips.steps_per_epoch,
                validation=self.scores,
                **logged,
            )
            self.on_progress(report)

    def save(self, done: int) -> None:
        """Write state and network."""
        if self.fabric.is_global_zero:
            # Other labels would fit the weights, and mean nothing.
            header = {"labels": list(self.labels)}
            save_state(self.state, _KIND, done, self.raw, self.raw_optimiser, header=header)
            facts = {
                "config": asdict(self.config),
                "steps_done": done,
                "clips": len(self.clips.targets),
                "hours": self.clips.cache.hours,
                "validation": self.scores,
            }
            network = self.state.with_name("tagger.safetensors")
            save_tagger(network, self.raw, self.labels, self.features, facts)
        self.fabric.barrier()

    def resume(self) -> int:
        """Restore the saved state; returns the number of steps done."""
        done, _, header = load_state(self.state, _KIND, self.raw, self.raw_optimiser)
        if tuple(header.get("labels", ())) != self.labels:
            raise CheckpointError(f"{self.state}: the run has other labels than the clips")
        return done
