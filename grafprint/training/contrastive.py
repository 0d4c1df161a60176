"""Contrastive training of any encoder, on a CPU or on one or more GPUs.

All random draws of a step follow from (seed, step, rank), so that a run killed and resumed ends
with the weights of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from grafprint.audio.datasets import find_music
from grafprint.degradation.augmentation import Degrade
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.errors import DataError
from grafprint.models.encoders import OwnEncoder, build, features_of
from grafprint.models.features import FeatureConfig
from grafprint.threads import prefetch
from grafprint.training.config import TrainConfig, learning_rate_at, save_config
from grafprint.training.data import Crops, PcmCache
from grafprint.training.fabric import launch_fabric
from grafprint.training.loop import Cadence, run_loop, state_path
from grafprint.training.pairs import Pairs
from grafprint.training.run import Run
from grafprint.training.validation import Validation


@dataclass(frozen=True)
class Progress:
    """Progress of training; loss and in-batch accuracy are means since the last report."""

    step: int
    steps: int
    loss: float
    accuracy: float
    learning_rate: float
    seconds_per_step: float
    validation: dict[str, float] | None = None  # of Validation.scores

    @property
    def eta_s(self) -> float:
        """Estimated seconds to the end."""
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
    on_step: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    report_every: int = 10,
) -> Path:
    """Train an encoder and return the path of the finished network.

    Args:
        config: the run; saved beside its results as ``config.json``.
        music, noise, rooms: folders, manifests, datasets (``find_music`` and ``find_clips`` of
            :mod:`grafprint.audio.datasets`) or banks. If None, noises are synthetic
            (:mod:`grafprint.degradation.synthetic_noise`) and rooms simulated.
        out: folder for ``state.safetensors`` (to resume), ``encoder.safetensors`` (to use),
            ``config.json`` and TensorBoard logs.
        cache: folder for decoded music; ``out / "cache"`` if None.
        resume: continue from ``state.safetensors``; otherwise an existing run is refused.
        start_from: a trained network to start from, instead of random weights.
        on_progress, on_decode, on_step: told about every report, every file decoded (with the
            number of all), and before every step the number of those done.
        stop: asked before every step; on True the state is saved and training ends early.

    Raises:
        DataError: there is no usable music, or there are fewer tracks than the batch needs.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
        FileNotFoundError: ``out`` holds no run and ``resume`` is True.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    state = state_path(out, resume)
    fabric = launch_fabric(config.precision, out, accelerator, devices)
    features = _features(config)  # before the music is decoded: it may refuse the encoder
    data = _decode_once(fabric, music, cache or out / "cache", on_decode)
    noises = noise_bank(noise, "train", 20, config.seed)
    responses = room_bank(rooms, "train", 40, config.seed)
    degrade = Degrade(config.degrade, noises, responses)
    pairs = Pairs(config, features, degrade).to(fabric.device)
    batch, rest = divmod(config.batch, fabric.world_size * config.segments_per_track)
    if rest or not batch:
        raise DataError(
            f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes with "
            f"{config.segments_per_track} segments per track"
        )
    crops = Crops(
        data["train"],
        batch,
        pairs.samples,
        config.seed,
        rank=fabric.global_rank,
        world=fabric.world_size,
        device=None if config.workers else fabric.device,
    )
    validation = Validation(data["valid"], pairs) if "valid" in data else None
    run = Run(fabric, config, features, pairs, state)
    if start_from is not None and not resume:
        run.start_from(start_from)
    first = run.resume() if resume else 0
    if fabric.is_global_zero:
        save_config(out / "config.json", config)
    run.set_up()
    training = _Contrastive(run, crops, validation, on_progress, on_step)
    cadence = Cadence(
        config.steps,
        validate_every=config.validate_every,
        report_every=report_every,
        save_every=config.save_every,
    )
    finished = run_loop(training, cadence, out, first, stop)
    return out / "encoder.safetensors" if finished else state


class _Contrastive:
    """Contrastive training for :func:`run_loop`; only process 0 measures, reports and saves."""

    def __init__(
        self,
        run: Run,
        crops: Crops,
        validation: Validation | None,
        on_progress: Callable[[Progress], None] | None,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.run, self.fabric, self.config = run, run.fabric, run.config
        self.crops, self.validation = crops, validation
        self.on_progress, self.on_step = on_progress, on_step
        self.scores: dict[str, float] | None = None

    def batches(self, first: int) -> Iterable[tuple[int, Tensor]]:
        """Pairs, prefetched: computing them takes about one core, or idle time of a GPU."""
        steps = range(first, self.config.steps)
        loader = self.fabric.setup_dataloaders(
            DataLoader(self.crops, None, sampler=steps, num_workers=self.config.workers),
            use_distributed_sampler=False,
        )
        crops = zip(steps, cast(Iterable[Tensor], loader), strict=True)
        return prefetch(self.run.batches(crops))

    def step(self, step: int, batch: Tensor) -> Tensor:
        """Loss and in-batch accuracy, [2]."""
        if self.on_step and self.fabric.is_global_zero:
            self.on_step(step)
        return self.run.step(step, batch)

    def validate(self, done: int) -> None:
        """Retrieve degraded queries among held-out tracks, if the data has any."""
        if self.validation:
            if self.fabric.is_global_zero:
                self.scores = self.validation.scores(self.run.best)
            self.fabric.barrier()

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Log to TensorBoard, and tell the caller."""
        loss, accuracy = figures
        rate = learning_rate_at(done - 1, self.config)
        scores, steps = self.scores, self.config.steps
        progress = Progress(done, steps, loss, accuracy, rate, seconds_per_step, scores)
        logged = {
            "loss": loss,
            "accuracy": accuracy,
            "learning_rate": rate,
            "seconds_per_step": seconds_per_step,
        }
        self.fabric.log_dict(logged | (scores or {}), done)
        if self.on_progress and self.fabric.is_global_zero:
            self.on_progress(progress)

    def save(self, done: int) -> None:
        """Write state and network."""
        if self.fabric.is_global_zero:
            facts = {
                "config": asdict(self.config),
                "steps_done": done,
                "hours": self.crops.cache.hours,
                "tracks": len(self.crops.tracks),
                "validation": self.scores,
            }
            self.run.save(done, facts)
        self.fabric.barrier()


def _features(config: TrainConfig) -> FeatureConfig:
    """The features of the run's encoder. Raises ConfigError if that cannot be built."""
    encoder = build(config.encoder, config.encoder_options)
    if isinstance(encoder, OwnEncoder):  # an object may declare others than its class
        return encoder.feature_config
    return features_of(config.encoder)


def _decode_once(
    fabric: Fabric, music: str | Path, cache: Path, on_decode: Callable[[int, int], None] | None
) -> dict[str, PcmCache]:
    """The training split and, if the data has one, the validation split; rank 0 decodes."""
    sources = find_music(music)
    result = {}
    with fabric.rank_zero_first():
        for split in ("train", "valid"):
            if chosen := [s for s in sources if s.split == split]:
                result[split] = PcmCache(chosen, cache, on_decode)
    if "train" not in result:
        raise DataError(f"{music}: no file is in the split 'train'")
    return result
