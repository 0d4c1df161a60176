"""A contrastive training run: network, optimiser, and one step of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from grafprint.errors import CheckpointError
from grafprint.models import checkpoint
from grafprint.models.encoders import Encoder, build, describe
from grafprint.models.features import FeatureConfig
from grafprint.training.config import TrainConfig, learning_rate_at
from grafprint.training.loop import load_state, save_state, tensors_under
from grafprint.training.losses import nt_xent, share_music, triplet


def torch_seed(*parts: int) -> int:
    """One 64-bit seed for torch from several numbers, the same on every machine."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0])


class Run:
    """The network and all else that a run changes at each step, with saving and resuming."""

    def __init__(
        self,
        fabric: Fabric,
        config: TrainConfig,
        features: FeatureConfig,
        pairs: nn.Module,
        path: Path,
    ) -> None:
        self.fabric, self.config, self.features, self.pairs = fabric, config, features, pairs
        self.path = path  # of the state
        self.started_from: str | None = None  # identity of the network given to start_from
        torch.manual_seed(config.seed)
        network = build(config.encoder, config.encoder_options)
        self.raw = network.to(memory_format=network.memory_format)
        self.raw_optimiser = torch.optim.Adam(self.raw.parameters(), config.learning_rate)
        self.memory = torch.zeros(config.memory, self.raw.dim, device=fabric.device)
        self.average: AveragedModel | None = None
        if config.average:
            update = get_ema_multi_avg_fn(config.average)
            self.average = AveragedModel(self.raw, multi_avg_fn=update, use_buffers=True)
            self.average.to(fabric.device)

    @property
    def best(self) -> Encoder:
        """The network to use: the averaged one if there is one."""
        return cast(Encoder, self.average.module) if self.average else self.raw

    def set_up(self) -> None:
        """Hand network and optimiser to Fabric; call it once the initial weights are in place."""
        if self.config.compile:
            self.raw.compile(dynamic=False)  # in place: names and weights stay
        self.encoder, self.optimiser = self.fabric.setup(self.raw, self.raw_optimiser)

    def inputs(self, step: int, crops: Tensor) -> Tensor:
        """The pairs of a step from its crops: a pure function of both."""
        seed = torch_seed(self.config.seed, step, self.fabric.global_rank)
        pairs: Tensor = self.pairs(crops, torch.Generator().manual_seed(seed))
        return pairs

    def batches(self, crops: Iterable[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        """Step numbers and pairs; on a GPU, pairs are computed on a separate stream.

        Iterate in one thread only: the stream is current in that thread.
        """
        if self.fabric.device.type != "cuda":
            yield from ((step, self.inputs(step, crop)) for step, crop in crops)
            return
        stream = torch.cuda.Stream(self.fabric.device)
        with torch.cuda.stream(stream):
            for step, crop in crops:
                pairs = self.inputs(step, crop)
                stream.synchronize()
                yield step, pairs

    def step(self, step: int, inputs: Tensor, songs: Tensor | None = None) -> Tensor:
        """Take one optimiser step; returns loss and accuracy (0..1) in the global batch, [2].

        ``songs [N, 2]`` says which pairs have music in common (:func:`share_music`), if any have.
        """
        if inputs.is_cuda:  # computed on another stream, which must not reuse its memory yet
            inputs.record_stream(torch.cuda.current_stream())
        fabric, config = self.fabric, self.config
        # For drop-path, which uses the global generator.
        torch.manual_seed(torch_seed(config.seed, step, fabric.global_rank))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(step, config)
        a, b = self.encoder(inputs).chunk(2)
        if fabric.world_size > 1:
            # Each process computes the loss of the global batch. Gradients flow back through the
            # gather, so that their mean over processes (DDP) is that of the global batch.
            a, b = (_gather(fabric, z) for z in (a, b))
        related = None if songs is None else share_music(self._everywhere(songs)).to(a.device)
        if config.loss == "triplet":
            loss = triplet(a, b)
        else:
            memory = self.memory if config.memory else None
            loss = nt_xent(a, b, config.temperature, memory, related)
        if (extra := self.raw.auxiliary_loss(a, b)) is not None:
            loss = loss + extra
        self.optimiser.zero_grad()
        fabric.backward(loss)
        self.optimiser.step()
        with torch.no_grad():
            similar = b @ a.T
            if related is not None:
                others = related[len(a) :, : len(a)].clone().fill_diagonal_(False)
                similar = similar.masked_fill(others, -torch.inf)
            right = similar.argmax(dim=1) == torch.arange(len(a), device=a.device)
            if config.memory:
                place = (step * len(a) + torch.arange(len(a))) % config.memory
                self.memory[place.to(a.device)] = a.float()
            if self.average:
                self.average.update_parameters(self.raw)
        return torch.stack([loss.detach(), right.float().mean()])

    def _everywhere(self, songs: Tensor) -> Tensor:
        """The songs of all processes."""
        if self.fabric.world_size == 1:
            return songs
        gathered = self.fabric.all_gather(songs.to(self.fabric.device))
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def save(self, step: int, facts: dict[str, Any]) -> None:
        """Write the state to resume from and the network to use.

        Raises DivergedError, before anything is written, if weights are not finite.
        """
        tensors = {"memory": self.memory} if self.config.memory else {}
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        origin = {"started_from": self.started_from}
        save_state(self.path, "training", step, self.raw, self.raw_optimiser, tensors, origin)
        network = self.path.with_name("encoder.safetensors")
        checkpoint.save_encoder(network, self.best, self.features, facts | origin)

    def resume(self) -> int:
        """Restore the saved state; returns the number of steps done."""
        done, tensors, header = load_state(self.path, "training", self.raw, self.raw_optimiser)
        if self.config.memory:
            self.memory.copy_(tensors["memory"])
        if self.average:
            self.average.load_state_dict(tensors_under(tensors, "average."))
        self.started_from = header.get("started_from")
        return done

    def start_from(self, path: Path) -> None:
        """Start from the weights of a trained network of the same shape."""
        network, features, _ = checkpoint.load_encoder(path)
        if describe(network) != describe(self.raw):
            raise CheckpointError(f"{path}: a network of another kind or size")
        self.raw.load_state_dict(network.state_dict())
        if self.average:
            self.average.module.load_state_dict(network.state_dict())
        self.started_from = checkpoint.identity(network, features)


def _gather(fabric: Fabric, z: Tensor) -> Tensor:
    everywhere = fabric.all_gather(z, sync_grads=True)
    assert isinstance(everywhere, Tensor)
    return everywhere.flatten(0, 1)
