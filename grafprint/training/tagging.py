"""Train a tagger on labelled clips, on a CPU or on one or more GPUs.

All random draws of a step follow from (seed, step, rank), so that a run killed and resumed ends
with the weights of an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lightning.fabric import Fabric

from grafprint.errors import DataError
from grafprint.models.taggers import features_of
from grafprint.training.config import save_config
from grafprint.training.data import PcmCache
from grafprint.training.fabric import launch_fabric
from grafprint.training.loop import Cadence, run_loop, state_path
from grafprint.training.tagging_batches import TaggingBatches
from grafprint.training.tagging_config import TaggingConfig
from grafprint.training.tagging_data import ClipSet, find_labelled_clips
from grafprint.training.tagging_run import TaggingProgress, TaggingRun
from grafprint.training.tagging_validation import TaggingValidation


def train_tagger(
    config: TaggingConfig,
    clips: str | Path | ClipSet,
    out: Path,
    *,
    cache: Path | None = None,
    resume: bool = False,
    accelerator: str = "auto",
    devices: int | str = "auto",
    on_progress: Callable[[TaggingProgress], None] | None = None,
    on_decode: Callable[[int, int], None] | None = None,
    on_step: Callable[[int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    report_every: int = 10,
) -> Path:
    """Train a tagger and return the path of the finished network.

    Args:
        config: the run; saved beside its results as ``config.json``.
        clips: a table, FSD50K or AudioSet
            (:func:`~grafprint.training.tagging_data.find_labelled_clips`), or a set of clips.
        out: folder for ``state.safetensors`` (to resume), ``tagger.safetensors`` (to use),
            ``config.json`` and TensorBoard logs.
        cache: folder for decoded audio; ``out / "cache"`` if None.
        resume, accelerator, devices, on_progress, on_decode, on_step, stop, report_every: as for
            :func:`grafprint.training.train`.

    Raises:
        DataError: there are no usable clips, or fewer than the batch needs.
        FileExistsError: ``out`` holds a run and ``resume`` is False.
        FileNotFoundError: ``out`` holds no run and ``resume`` is True.
        CheckpointError: the saved state does not fit.
        DivergedError: the loss or the weights have become infinite or NaN.
    """
    state = state_path(out, resume)
    fabric = launch_fabric(config.precision, out, accelerator, devices)
    clips = clips if isinstance(clips, ClipSet) else find_labelled_clips(clips)
    decoded = _decode_once(fabric, clips, cache or out / "cache", on_decode)
    batch, rest = divmod(config.batch, fabric.world_size)
    if rest:
        raise DataError(
            f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes"
        )
    network, features = config.network(len(clips.labels)), features_of(config.variant)
    samples = network.input_shape[1] * features.hop_length
    batches = TaggingBatches(
        decoded["train"],
        clips,
        batch,
        samples,
        config.seed,
        balanced=config.balanced,
        mixup=config.mixup,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    training = TaggingRun(fabric, config, clips.labels, batches, state, on_progress, on_step)
    if "valid" in decoded:
        training.validation = TaggingValidation(decoded["valid"], clips, samples, features)
    first = training.resume() if resume else 0
    if fabric.is_global_zero:
        save_config(out / "config.json", config)
    training.set_up()
    cadence = Cadence(
        training.steps,
        validate_every=config.validate_every_epochs * batches.steps_per_epoch,
        report_every=report_every,
        save_every=config.save_every,
    )
    finished = run_loop(training, cadence, out, first, stop)
    return out / "tagger.safetensors" if finished else state


def _decode_once(
    fabric: Fabric, clips: ClipSet, cache: Path, on_decode: Callable[[int, int], None] | None
) -> dict[str, PcmCache]:
    """The training split and, if there is one, the validation split; rank 0 decodes."""
    result = {}
    with fabric.rank_zero_first():
        for split in ("train", "valid"):
            if files := clips.of_split(split).files:
                result[split] = PcmCache(files, cache, on_decode)
    if "train" not in result:
        raise DataError("none of the labelled clips is in the split 'train'")
    return result
