"""Where the pairs of a contrastive run come from: music and noise, or songs as stems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import Dataset

from grafprint.audio.datasets import find_music
from grafprint.degradation.augmentation import Degrade
from grafprint.degradation.banks import NoiseBank, RoomBank, noise_bank, room_bank
from grafprint.errors import DataError
from grafprint.models.encoders import Encoder
from grafprint.models.features import FeatureConfig
from grafprint.training.config import TrainConfig
from grafprint.training.data import Crops, PcmCache
from grafprint.training.pairs import Pairs
from grafprint.training.sample_pairs import SamplePairs
from grafprint.training.sample_validation import SampleValidation
from grafprint.training.stem_bank import StemCrops, stem_banks
from grafprint.training.validation import Validation

Decoded = Callable[[int, int], None]


class Scores(Protocol):
    """A fixed task of retrieval."""

    def scores(self, encoder: Encoder) -> dict[str, float]:
        """Shares from 0 to 1 by name."""


@dataclass(frozen=True)
class Source:
    """What a run needs to know of its music."""

    crops: Dataset[Tensor]  # item ``step``: the crops of a step
    pairs: nn.Module  # makes encoder inputs [2N, ...] of crops and a generator
    songs: Callable[[int], Tensor | None]  # of the pairs of a step, as in ``share_music``
    validation: Scores | None
    hours: float
    tracks: int


def segments_source(
    fabric: Fabric,
    config: TrainConfig,
    features: FeatureConfig,
    music: str | Path,
    noise: str | Path | NoiseBank | None,
    rooms: str | Path | RoomBank | None,
    cache: Path,
    on_decode: Decoded | None,
) -> Source:
    """Segments and the same ones degraded: for fingerprints. Raises as ``train`` does."""
    data = _decode_once(fabric, music, cache, on_decode)
    noises = noise_bank(noise, "train", 20, config.seed)
    responses = room_bank(rooms, "train", 40, config.seed)
    degrade = Degrade(config.degrade, noises, responses)
    pairs = Pairs(config, features, degrade).to(fabric.device)
    crops = Crops(
        data["train"],
        _share(config, fabric.world_size) // config.segments_per_track,
        pairs.samples,
        config.seed,
        rank=fabric.global_rank,
        world=fabric.world_size,
        device=None if config.workers else fabric.device,
    )
    validation = Validation(data["valid"], pairs) if "valid" in data else None
    hours, tracks = data["train"].hours, len(crops.tracks)
    return Source(crops, pairs, lambda _: None, validation, hours, tracks)


def songs_source(
    fabric: Fabric,
    config: TrainConfig,
    features: FeatureConfig,
    table: Path,
    mixes: str | Path | None,
    cache: Path,
    on_decode: Decoded | None,
) -> Source:
    """Songs and others that sample them: for sample identification. Raises as ``train`` does."""
    with fabric.rank_zero_first():
        banks = stem_banks(table, mixes, cache, on_decode)
    pairs = SamplePairs(config.samples, features).to(fabric.device)
    crops = StemCrops(
        banks["train"],
        _share(config, fabric.world_size),
        pairs.samples,
        config.seed,
        **asdict(config.stems),
        places=config.segments_per_track,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    validation = None
    if "valid" in banks:
        validation = SampleValidation(banks["valid"], features, fabric.device)
    return Source(
        crops, pairs, crops.songs, validation, banks["train"].cache.hours, len(crops.usable)
    )


def _share(config: TrainConfig, world: int) -> int:
    """Pairs of each process. Raises DataError if the batch does not divide."""
    batch, rest = divmod(config.batch, world * config.segments_per_track)
    if rest or not batch:
        raise DataError(
            f"a batch of {config.batch} cannot be shared by {world} processes with "
            f"{config.segments_per_track} segments per track"
        )
    return batch * config.segments_per_track


def _decode_once(
    fabric: Fabric, music: str | Path, cache: Path, on_decode: Decoded | None
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
