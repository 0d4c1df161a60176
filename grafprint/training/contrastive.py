"""Contrastive training of any encoder, on a CPU or on one or more GPUs.

All random draws of a step follow from (seed, step, rank), so that a run killed and resumed ends
with the weights of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import cast

from torch import Tensor
from torch.utils.data import DataLoader

from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.errors import ConfigError
from grafprint.models.encoders import OwnEncoder, build, features_of
from grafprint.models.features import FeatureConfig
from grafprint.threads import prefetch
from grafprint.training.config import TrainConfig, learning_rate_at, save_config
from grafprint.training.fabric import launch_fabric
from grafprint.training.loop import Cadence, Progress, run_loop, state_path
from grafprint.training.run import Run
from grafprint.training.sources import Source, segments_source, songs_source
from grafprint.training.stem_bank import is_stem_table


def train(
    config: TrainConfig,
    music: str | Path,
    out: Path,
    *,
    mixes: str | Path | None = None,
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
            (:mod:`grafprint.degradation.synthetic_noise`) and rooms simulated. If ``music`` is a
            table of songs as stems (``stems.csv``), the pairs are a song and another one that
            samples it (:mod:`grafprint.training.sample_pairs`), without noise and rooms.
        mixes: whole recordings to sample beside the songs of a table, as ``music``.
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
        ConfigError: the settings, or noise, rooms and mixes, do not go with the music.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    state = state_path(out, resume)
    fabric = launch_fabric(config.precision, out, accelerator, devices)
    features = _features(config)  # before the music is decoded: it may refuse the encoder
    cache = cache or out / "cache"
    if is_stem_table(music):
        _check_for_stems(config, noise, rooms)
        source = songs_source(fabric, config, features, Path(music), mixes, cache, on_decode)
    elif mixes is not None:
        raise ConfigError(f"mixes go with a table of stems only, and {music} is none")
    else:
        source = segments_source(fabric, config, features, music, noise, rooms, cache, on_decode)
    run = Run(fabric, config, features, source.pairs, state)
    if start_from is not None and not resume:
        run.start_from(start_from)
    first = run.resume() if resume else 0
    if fabric.is_global_zero:
        save_config(out / "config.json", config)
    run.set_up()
    training = _Contrastive(run, source, on_progress, on_step)
    cadence = Cadence(
        config.steps,
        validate_every=config.validate_every,
        report_every=report_every,
        save_every=config.save_every,
    )
    finished = run_loop(training, cadence, out, first, stop)
    return out / "encoder.safetensors" if finished else state


# Inputs of the network, and which songs they are of (Run.step).
_Batch = tuple[Tensor, Tensor | None]


class _Contrastive:
    """Contrastive training for :func:`run_loop`; only process 0 measures, reports and saves."""

    def __init__(
        self,
        run: Run,
        source: Source,
        on_progress: Callable[[Progress], None] | None,
        on_step: Callable[[int], None] | None,
    ) -> None:
        self.run, self.fabric, self.config = run, run.fabric, run.config
        self.source = source
        self.on_progress, self.on_step = on_progress, on_step
        self.scores: dict[str, float] | None = None

    def batches(self, first: int) -> Iterable[tuple[int, _Batch]]:
        """Pairs, prefetched: computing them takes about one core, or idle time of a GPU."""
        steps = range(first, self.config.steps)
        loader = self.fabric.setup_dataloaders(
            DataLoader(self.source.crops, None, sampler=steps, num_workers=self.config.workers),
            use_distributed_sampler=False,
        )
        crops = zip(steps, cast(Iterable[Tensor], loader), strict=True)
        return prefetch(
            (step, (pairs, self.source.songs(step))) for step, pairs in self.run.batches(crops)
        )

    def step(self, step: int, batch: _Batch) -> Tensor:
        """Loss and in-batch accuracy, [2]."""
        if self.on_step and self.fabric.is_global_zero:
            self.on_step(step)
        return self.run.step(step, *batch)

    def validate(self, done: int) -> None:
        """Retrieve queries among held-out tracks, if the data has any."""
        if self.source.validation:
            if self.fabric.is_global_zero:
                self.scores = self.source.validation.scores(self.run.best)
            self.fabric.barrier()

    def report(self, done: int, figures: list[float], seconds_per_step: float) -> None:
        """Log to TensorBoard, and tell the caller."""
        loss, accuracy = figures
        rate = learning_rate_at(done - 1, self.config)
        logged = {
            "loss": loss,
            "accuracy": accuracy,
            "learning_rate": rate,
            "seconds_per_step": seconds_per_step,
        }
        self.fabric.log_dict(logged | (self.scores or {}), done)
        if self.on_progress and self.fabric.is_global_zero:
            report = Progress(step=done, steps=self.config.steps, validation=self.scores, **logged)
            self.on_progress(report)

    def save(self, done: int) -> None:
        """Write state and network."""
        if self.fabric.is_global_zero:
            facts = {
                "config": asdict(self.config),
                "steps_done": done,
                "hours": self.source.hours,
                "tracks": self.source.tracks,
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


def _check_for_stems(config: TrainConfig, noise: object, rooms: object) -> None:
    """Raises ConfigError if something does not go with songs as stems."""
    if noise is not None or rooms is not None:
        raise ConfigError("songs as stems are laid over each other, without noise and rooms")
    if config.loss != "nt-xent" or config.memory:
        raise ConfigError(
            "with songs as stems the loss is nt-xent, and there is no memory: of few songs, "
            "earlier batches hold the same music"
        )
