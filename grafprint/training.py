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
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from grafprint import checkpoint, synthesis
from grafprint.augment import Degrade, DegradeConfig, NoiseBank, RoomBank, crop_length, pair_views
from grafprint.data import Crops, DataError, PcmCache, find_music, load_clips
from grafprint.encoders import Encoder, build
from grafprint.features import FeatureConfig, LogMel, add_positions, normalise
from grafprint.losses import nt_xent
from grafprint.validation import Validation

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Paper: Adam 8e-5 to 7e-7, 12,400 steps of 256 pairs, temperature 0.05."""

    encoder: str = "grafprint"
    encoder_options: dict[str, Any] = field(default_factory=dict)
    steps: int = 12_400
    batch: int = 256  # pairs over all processes
    learning_rate: float = 8e-5
    final_learning_rate: float = 7e-7
    warmup_steps: int = 100
    temperature: float = 0.05
    offset_s: float = 0.05  # +-50 ms, section III-C
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    precision: str = "bf16-mixed"
    seed: int = 0
    validate_every: int = 500
    save_every: int = 200
    workers: int = 0


def load_config(out: Path) -> TrainConfig:
    """The settings of the run in ``out``. Raises FileNotFoundError if there is none."""
    path = out / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{out}: no run to go on with (no config.json)")
    values = json.loads(path.read_text())
    degrade = values.pop("degrade")
    degrade["snr_db"] = tuple(degrade["snr_db"])
    return TrainConfig(**values, degrade=DegradeConfig(**degrade))


@dataclass(frozen=True)
class Progress:
    """What a training step reports: loss and in-batch accuracy are means since the last report."""

    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds_per_step: float
    hit_rate: float | None = None

    @property
    def eta_s(self) -> float:
        """Seconds to the end at the present pace."""
        return (self.steps - self.step) * self.seconds_per_step


def learning_rate_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine from ``learning_rate`` to ``final_learning_rate``."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Pairs(nn.Module):
    """From crops of music to the two encoder inputs of each pair: clean and degraded.

    The clean view is computed with its context on both sides, as a segment of a reference is.
    The degraded view is cut to one second first, as the only segment of a 1 s query is.
    """

    def __init__(self, config: TrainConfig, features: FeatureConfig, degrade: Degrade) -> None:
        super().__init__()
        self.features, self.degrade = features, degrade
        self.logmel = LogMel(features)
        self.offset = round(config.offset_s * features.sample_rate_hz)
        self.past = degrade.config.past_samples
        self.margin = 2 * features.hop_length

    @property
    def samples(self) -> int:
        """Length of the crops it needs."""
        return crop_length(self.features.window_samples, self.offset, self.past, self.margin)

    @torch.no_grad()
    def forward(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """Crops ``[B, samples]`` to inputs ``[2B, 3, 64, 32]``: B clean, then B degraded."""
        f = self.features
        clean, shifted = pair_views(
            crops, f.window_samples, self.offset, self.past, self.margin, generator
        )
        skip = self.margin // f.hop_length
        reference = self.logmel(clean)[:, skip : skip + f.window_frames]
        query = self.logmel(self.degrade(shifted, generator))[:, : f.window_frames]
        segments = torch.cat([reference, query]).transpose(1, 2)
        return add_positions(normalise(segments, f))


def _seed(*parts: int) -> int:
    """One 63-bit seed from several numbers (SplitMix64's mixing), the same on every machine."""
    state = 0
    for part in parts:
        state = (state * 0x9E3779B97F4A7C15 + part + 1) & (2**64 - 1)
        state ^= state >> 31
        state = (state * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state ^= state >> 29
    return state >> 1


def train(
    config: TrainConfig,
    music: str | Path,
    out: Path,
    *,
    noise: str | Path | None = None,
    rooms: str | Path | None = None,
    cache: Path | None = None,
    resume: bool = False,
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
        music, noise, rooms: folders or manifests (:func:`grafprint.data.find_music`). Where
            noise or rooms is None, synthetic ones are used (:mod:`grafprint.synthesis`).
        out: folder for ``state.safetensors`` (to resume), ``encoder.safetensors`` (to use),
            ``config.json`` and TensorBoard logs.
        cache: folder for decoded music; ``out / "cache"`` if None.
        resume: go on from ``state.safetensors``; without it an existing run is refused.
        stop: asked before every step; on True the state is saved and training ends early.

    Raises:
        DataError: no usable music, or fewer tracks than the batch.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
    """
    fabric = _fabric(config, out, accelerator, devices)
    state_path = out / "state.safetensors"
    if state_path.exists() and not resume:
        raise FileExistsError(f"{out} holds a run already; use --resume, or another --out")
    if resume and not state_path.exists():
        raise FileNotFoundError(f"{out}: nothing to resume there")

    features = FeatureConfig()
    data = _decode_once(fabric, music, cache or out / "cache", on_decode)
    noises = NoiseBank(load_clips(noise) if noise else synthesis.noises(20, config.seed))
    responses = RoomBank(load_clips(rooms) if rooms else synthesis.rooms(40, config.seed))
    pairs = Pairs(config, features, Degrade(config.degrade, noises, responses)).to(fabric.device)
    if config.batch % fabric.world_size:
        raise DataError(f"a batch of {config.batch} cannot be shared by {fabric.world_size}")
    batch = config.batch // fabric.world_size
    crops = Crops(
        data["train"], batch, pairs.samples, config.seed, fabric.global_rank, fabric.world_size
    )
    validation = Validation(data["valid"], pairs, config.seed) if "valid" in data else None

    torch.manual_seed(config.seed)
    raw = build(config.encoder, config.encoder_options).to(memory_format=torch.channels_last)
    raw_optimiser = torch.optim.Adam(raw.parameters(), config.learning_rate)
    first = _resume(state_path, raw, raw_optimiser) if resume else 0
    if fabric.is_global_zero:
        (out / "config.json").write_text(json.dumps(asdict(config), indent=2) + "\n")
    encoder, optimiser = fabric.setup(raw, raw_optimiser)
    loader = fabric.setup_dataloaders(
        DataLoader(crops, None, sampler=range(first, config.steps), num_workers=config.workers),
        use_distributed_sampler=False,
    )

    def facts(step: int, hit_rate: float | None) -> dict[str, Any]:
        return {
            "config": asdict(config), "steps_done": step, "hours": data["train"].hours,
            "tracks": len(crops.tracks), "validation_hit_rate": hit_rate,
        }  # fmt: skip

    def save(step: int, hit_rate: float | None) -> None:
        if fabric.is_global_zero:
            _save_state(state_path, raw, raw_optimiser, step)
            checkpoint.save_encoder(out / "encoder.safetensors", raw, features,
                                    facts(step, hit_rate))  # fmt: skip
        fabric.barrier()

    sums, since, started, hit_rate = torch.zeros(2), 0, time.monotonic(), None
    for step, crop in zip(range(first, config.steps), loader, strict=True):
        if stop and stop():
            save(step, hit_rate)
            return state_path
        loss, accuracy = _step(fabric, config, encoder, optimiser, pairs, crop, step)
        sums += torch.tensor([loss, accuracy])
        since += 1
        done = step + 1
        last = done == config.steps
        if validation and (done % config.validate_every == 0 or last):
            hit_rate = validation.hit_rate(raw) if fabric.is_global_zero else None
            fabric.barrier()
        if done % report_every == 0 or last:
            pace = (time.monotonic() - started) / since
            mean_loss, mean_accuracy = (sums / since).tolist()
            progress = Progress(done, config.steps, mean_loss, mean_accuracy,
                                learning_rate_at(step, config), pace, hit_rate)  # fmt: skip
            fabric.log_dict({k: v for k, v in asdict(progress).items()
                             if k not in ("step", "steps") and v is not None}, done)  # fmt: skip
            if on_progress and fabric.is_global_zero:
                on_progress(progress)
            sums, since, started = torch.zeros(2), 0, time.monotonic()
        if done % config.save_every == 0 or last:
            save(done, hit_rate)
    return out / "encoder.safetensors"


def _step(
    fabric: Fabric, config: TrainConfig, encoder: nn.Module, optimiser: torch.optim.Optimizer,
    pairs: Pairs, crops: Tensor, step: int,
) -> tuple[float, float]:  # fmt: skip
    """One optimiser step; returns the global batch's loss and its accuracy in [0, 1]."""
    seed = _seed(config.seed, step, fabric.global_rank)
    inputs = pairs(crops, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)  # drop-path draws from the global generator
    for group in optimiser.param_groups:
        group["lr"] = learning_rate_at(step, config)
    a, b = encoder(inputs).chunk(2)
    if fabric.world_size > 1:
        # Every process computes the whole batch's loss; gradients flow back through the gather,
        # and DDP's mean then equals the gradient of one process with the whole batch.
        a, b = (_gather(fabric, z) for z in (a, b))
    loss = nt_xent(a, b, config.temperature)
    optimiser.zero_grad()
    fabric.backward(loss)
    optimiser.step()
    with torch.no_grad():
        accuracy = ((b @ a.T).argmax(dim=1) == torch.arange(len(a), device=a.device)).float()
    return loss.item(), accuracy.mean().item()


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
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, strategy=strategy,
                    precision=config.precision, loggers=logger)  # type: ignore[arg-type]  # fmt: skip
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


def _save_state(path: Path, encoder: Encoder, optimiser: torch.optim.Optimizer, step: int) -> None:
    slots, rest = checkpoint.pack_optimiser(optimiser)
    tensors = {f"encoder.{k}": v for k, v in encoder.state_dict().items()}
    tensors |= {f"optimiser.{k}": v for k, v in slots.items()}
    header = {"format": checkpoint.FORMAT, "kind": "training", "step": step, "optimiser": rest}
    checkpoint.write(path, tensors, header)


def _resume(path: Path, encoder: Encoder, optimiser: torch.optim.Optimizer) -> int:
    tensors, header = checkpoint.read(path)
    if header.get("kind") != "training":
        raise checkpoint.CheckpointError(f"{path}: not a training state")

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    encoder.load_state_dict(part("encoder."))
    checkpoint.unpack_optimiser(optimiser, part("optimiser."), header["optimiser"])
    return int(header["step"])
