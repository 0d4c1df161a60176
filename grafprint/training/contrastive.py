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
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from grafprint.audio.datasets import find_music
from grafprint.degradation.augmentation import Degrade
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.errors import DataError, DivergedError
from grafprint.models.encoders import features_of, stretch_of
from grafprint.models.fast.precision import computes_bf16
from grafprint.threads import prefetch
from grafprint.training.config import TrainConfig, learning_rate_at
from grafprint.training.data import Crops, PcmCache
from grafprint.training.pairs import Pairs
from grafprint.training.run import _Run
from grafprint.training.validation import Validation

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
        music, noise, rooms: folders, manifests, datasets (``find_music`` and ``find_clips`` of
            :mod:`grafprint.audio.datasets`) or banks. Where it is None, synthetic noises and rooms
            are used (:mod:`grafprint.degradation.synthetic_noise`).
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
    for step, inputs in prefetch(run.batches(steps)):
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
