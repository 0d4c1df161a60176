"""Contrastive training of any encoder, on one machine or several GPUs; exact to resume.

Every random draw of a step comes from (seed, step, rank), so a run that was killed and resumed
gives the weights of one that was not.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from grafprint import checkpoint
from grafprint.ahead import ahead
from grafprint.augment import Degrade, NoiseBank, RoomBank
from grafprint.banks import noise_bank, room_bank
from grafprint.data import Crops, DataError, PcmCache, find_music
from grafprint.encoders import Encoder, build, describe, features_of, stretch_of
from grafprint.features import FeatureConfig
from grafprint.losses import nt_xent, triplet
from grafprint.pairs import Pairs, stretch_views
from grafprint.precision import computes_bf16
from grafprint.recipe import TrainConfig, learning_rate_at
from grafprint.validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What a training step reports: loss and in-batch accuracy are means since the last report."""

    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds_per_step: float
    validation: dict[str, float] | None = None  # of Validation.scores

    @property
    def eta_s(self) -> float:
        """Seconds to the end at the present pace."""
        return (self.steps - self.step) * self.seconds_per_step


def _seed(*parts: int) -> int:
    """One 63-bit seed from several numbers (SplitMix64's mixing), the same on every machine."""
    state = 0
    for part in parts:
        state = (state * 0x9E3779B97F4A7C15 + part + 1) & (2**64 - 1)
        state ^= state >> 31
        state = (state * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state ^= state >> 29
    return state >> 1


class DivergedError(RuntimeError):
    """The loss or the weights are not numbers any more; what was saved before is kept."""

    def __init__(self, what: str, step: int, out: Path) -> None:
        super().__init__(
            f"by step {step} the {what} not finite any more: a smaller learning rate, or float32 "
            f"(--precision 32-true), may help. What {out} holds of this run was saved before."
        )


class _Run:
    """What a run changes step by step, and how it is saved and taken up again."""

    def __init__(
        self, fabric: Fabric, config: TrainConfig, features: FeatureConfig, pairs: Pairs, out: Path
    ) -> None:
        self.fabric, self.config, self.features, self.pairs = fabric, config, features, pairs
        self.path = out / "state.safetensors"
        self.started_from: str | None = None  # identity of the network it began with
        torch.manual_seed(config.seed)
        network = build(config.encoder, config.encoder_options)
        self.raw = network.to(memory_format=torch.channels_last)
        self.raw_optimiser = torch.optim.Adam(self.raw.parameters(), config.learning_rate)
        self.memory = torch.zeros(config.memory, self.raw.dim, device=fabric.device)
        self.average: AveragedModel | None = None
        if config.average:
            update = get_ema_multi_avg_fn(config.average)
            self.average = AveragedModel(self.raw, multi_avg_fn=update, use_buffers=True)
            self.average.to(fabric.device)

    @property
    def best(self) -> Encoder:
        """The network to use: the averaged one where the run keeps one."""
        return cast(Encoder, self.average.module) if self.average else self.raw

    def set_up(self) -> None:
        """Hand network and optimiser to Fabric, once the weights are the ones to begin with."""
        if self.config.compile:
            self.raw.compile(dynamic=False)  # in place: names and weights stay
        self.encoder, self.optimiser = self.fabric.setup(self.raw, self.raw_optimiser)

    def inputs(self, step: int, crops: Tensor) -> Tensor:
        """The pairs of a step, made of its crops: a pure function of both."""
        seed = _seed(self.config.seed, step, self.fabric.global_rank)
        pairs: Tensor = self.pairs(crops, torch.Generator().manual_seed(seed))
        return pairs

    def batches(self, crops: Iterable[tuple[int, Tensor]]) -> Iterator[tuple[int, Tensor]]:
        """Numbers of steps and their pairs; on a GPU made on a stream of its own.

        To be advanced in one thread: the stream is current in that one only.
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

    def step(self, step: int, inputs: Tensor) -> Tensor:
        """One optimiser step; the global batch's loss and its accuracy in [0, 1], [2].

        They stay on the device: to ask for them at every step would let a GPU run dry.
        """
        fabric, config = self.fabric, self.config
        # Drop-path draws from the global generator.
        torch.manual_seed(_seed(config.seed, step, fabric.global_rank))
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(step, config)
        if self.raw.stretch == 1:
            a, b = self.encoder(inputs).chunk(2)
        else:
            count = config.segments_per_track
            a, b = stretch_views(self.encoder, inputs, count, self.features)
        if fabric.world_size > 1:
            # Every process computes the whole batch's loss; gradients flow back through the
            # gather, and DDP's mean then equals the gradient of one process with the whole batch.
            a, b = (_gather(fabric, z) for z in (a, b))
        if config.loss == "triplet":
            loss = triplet(a, b)
        else:
            loss = nt_xent(a, b, config.temperature, self.memory if config.memory else None)
        if (extra := self.raw.auxiliary_loss(a, b)) is not None:
            loss = loss + extra
        self.optimiser.zero_grad()
        fabric.backward(loss)
        self.optimiser.step()
        with torch.no_grad():
            right = (b @ a.T).argmax(dim=1) == torch.arange(len(a), device=a.device)
            if config.memory:
                place = (step * len(a) + torch.arange(len(a))) % config.memory
                self.memory[place.to(a.device)] = a.float()
            if self.average:
                self.average.update_parameters(self.raw)
        return torch.stack([loss.detach(), right.float().mean()])

    def save(self, step: int, facts: dict[str, Any]) -> None:
        """Write the state to resume from and the network to use; DivergedError if it is none."""
        if not all(p.isfinite().all() for p in self.raw.parameters()):
            raise DivergedError("weights are", step, self.path.parent)
        slots, rest = checkpoint.pack_optimiser(self.raw_optimiser)
        tensors = {f"encoder.{k}": v for k, v in self.raw.state_dict().items()}
        tensors |= {f"optimiser.{k}": v for k, v in slots.items()}
        if self.config.memory:
            tensors["memory"] = self.memory
        if self.average:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        header = {"format": checkpoint.FORMAT, "kind": "training", "step": step, "optimiser": rest,
                  "started_from": self.started_from}  # fmt: skip
        checkpoint.write(self.path, tensors, header)
        checkpoint.save_encoder(
            self.path.with_name("encoder.safetensors"), self.best, self.features,
            facts | {"started_from": self.started_from},
        )  # fmt: skip

    def resume(self) -> int:
        """Take up the saved state; returns how many steps it has behind it."""
        tensors, header = checkpoint.read(self.path)
        if header.get("kind") != "training":
            raise checkpoint.CheckpointError(f"{self.path}: not a training state")

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.raw.load_state_dict(part("encoder."))
        checkpoint.unpack_optimiser(self.raw_optimiser, part("optimiser."), header["optimiser"])
        if self.config.memory:
            self.memory.copy_(tensors["memory"])
        if self.average:
            self.average.load_state_dict(part("average."))
        self.started_from = header.get("started_from")
        return int(header["step"])

    def start_from(self, path: Path) -> None:
        """Begin with the weights of a finished network of the same shape."""
        network, features, _ = checkpoint.load_encoder(path)
        if describe(network) != describe(self.raw):
            raise checkpoint.CheckpointError(f"{path}: a network of another kind or size")
        self.raw.load_state_dict(network.state_dict())
        if self.average:
            self.average.module.load_state_dict(network.state_dict())
        self.started_from = checkpoint.identity(network, features)


def train(
    config: TrainConfig,
    music: str | Path,
    out: Path,
    *,
    noise: str | Path | NoiseBank | None = None,
    rooms: str | Path | RoomBank | None = None,
    cache: Path | None = None,
    resume: bool = False,
    start_from: Path | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    report_every: int = 10,
) -> Path:
    """Train an encoder and return the path of the finished network.

    Args:
        config: the run; saved beside its results as ``config.json``.
        music, noise, rooms: folders, manifests, datasets (:func:`grafprint.data.find_music`,
            :func:`grafprint.datasets.find_clips`) or banks. Where it is None, synthetic noises and
            rooms are used (:mod:`grafprint.synthesis`).
        out: folder for ``state.safetensors`` (to resume), ``encoder.safetensors`` (to use),
            ``config.json`` and TensorBoard logs.
        cache: folder for decoded music; ``out / "cache"`` if None.
        resume: go on from ``state.safetensors``; without it an existing run is refused.
        start_from: a trained network to begin with instead of random weights.
        stop: asked before every step; on True the state is saved and training ends early.

    Raises:
        DataError: no usable music, or fewer tracks than the batch.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    fabric = _fabric(config, out, accelerator, devices)
    features = features_of(config.encoder)
    state_path = out / "state.safetensors"
    if state_path.exists() and not resume:
        raise FileExistsError(f"{out} holds a run already; use --resume, or another --out")
    if resume and not state_path.exists():
        raise FileNotFoundError(f"{out}: nothing to resume there")

    data = _decode_once(fabric, music, cache or out / "cache", on_decode)
    noises = noise_bank(noise, "train", 20, config.seed)
    responses = room_bank(rooms, "train", 40, config.seed)
    degrade = Degrade(config.degrade, noises, responses)
    pairs = Pairs(config, features, degrade, stretch_of(config.encoder)).to(fabric.device)
    batch, rest = divmod(config.batch, fabric.world_size * config.segments_per_track)
    if rest or not batch:
        raise DataError(
            f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes with "
            f"{config.segments_per_track} segments a track"
        )
    crops = Crops(
        data["train"], batch, pairs.samples, config.seed, fabric.global_rank, fabric.world_size,
        None if config.workers else fabric.device,
    )  # fmt: skip
    validation = Validation(data["valid"], pairs) if "valid" in data else None
    run = _Run(fabric, config, features, pairs, out)
    if start_from is not None and not resume:
        run.start_from(start_from)
    first = run.resume() if resume else 0
    if fabric.is_global_zero:
        (out / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    run.set_up()
    loader = fabric.setup_dataloaders(
        DataLoader(crops, None, sampler=range(first, config.steps), num_workers=config.workers),
        use_distributed_sampler=False,
    )

    def save(step: int) -> None:
        if fabric.is_global_zero:
            run.save(step, {
                "config": asdict(config), "steps_done": step, "hours": data["train"].hours,
                "tracks": len(crops.tracks), "validation": scores,
            })  # fmt: skip
        fabric.barrier()

    scores: dict[str, float] | None = None
    sums, since, started = torch.zeros(2, device=fabric.device), 0, time.monotonic()
    # Making pairs takes about one core, or a GPU's pauses.
    steps = zip(range(first, config.steps), cast(Iterable[Tensor], loader), strict=True)
    for step, inputs in ahead(run.batches(steps)):
        if stop and stop():
            save(step)
            return state_path
        if inputs.is_cuda:  # it was made on another stream, which may not have its memory back yet
            inputs.record_stream(torch.cuda.current_stream())
        sums += run.step(step, inputs)
        since += 1
        done = step + 1
        last = done == config.steps
        if validation and (done % config.validate_every == 0 or last):
            scores = validation.scores(run.best) if fabric.is_global_zero else None
            fabric.barrier()
        if done % report_every == 0 or last:
            mean_loss, mean_accuracy = (sums / since).tolist()  # waits for the device
            if not math.isfinite(mean_loss):
                raise DivergedError("loss is", done, out)
            pace = (time.monotonic() - started) / since
            progress = Progress(done, config.steps, mean_loss, mean_accuracy,
                                learning_rate_at(step, config), pace, scores)  # fmt: skip
            fabric.log_dict({"loss": mean_loss, "accuracy": mean_accuracy,
                             "learning_rate": progress.learning_rate, "seconds_per_step": pace,
                             **(scores or {})}, done)  # fmt: skip
            if on_progress and fabric.is_global_zero:
                on_progress(progress)
            sums.zero_()
            since, started = 0, time.monotonic()
        if done % config.save_every == 0 or last:
            save(done)
    return out / "encoder.safetensors"


def _gather(fabric: Fabric, z: Tensor) -> Tensor:
    everywhere = fabric.all_gather(z, sync_grads=True)
    assert isinstance(everywhere, Tensor)
    return everywhere.flatten(0, 1)


def _fabric(config: TrainConfig, out: Path, accelerator: str, devices: int | str) -> Fabric:
    out.mkdir(parents=True, exist_ok=True)
    strategy, nodes = "auto", 1
    if torch.distributed.is_torchelastic_launched():  # torchrun decides how many processes
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
        strategy = "ddp"
    logger = TensorBoardLogger(out, name="tensorboard", version="")
    precision = config.precision
    processor = accelerator == "cpu" or (accelerator == "auto" and not torch.cuda.is_available())
    if precision == "bf16-mixed" and processor and not computes_bf16(torch.device("cpu")):
        log.warning("this processor has no bfloat16: training in float32")
        precision = "32-true"
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy,
                    precision=precision, loggers=logger)  # type: ignore[arg-type]  # fmt: skip
    fabric.launch()
    return fabric


def _decode_once(
    fabric: Fabric, music: str | Path, cache: Path, on_decode: Callable[[int, int], None] | None
) -> dict[str, PcmCache]:
    """The training and, where the data names one, the validation split; rank 0 decodes."""
    sources = find_music(music)
    result = {}
    with fabric.rank_zero_first():
        for split in ("train", "valid"):
            if chosen := [s for s in sources if s.split == split]:
                result[split] = PcmCache(chosen, cache, on_decode)
    if "train" not in result:
        raise DataError(f"{music}: no file belongs to the split 'train'")
    return result
