"""Songs as stems, from a table, and crops of them to train sample identification."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grafprint import audio
from grafprint.audio.datasets import DatasetFile
from grafprint.errors import DataError
from grafprint.training.data import PcmCache

_MIX = "mix"
_QUIET = 1e-6  # mean square below which a stem is silent in a crop
_TRIES = 10


class StemBank:
    """The songs of one split of a table ``stems.csv``, decoded once.

    ``songs`` has for each song the cache's number of its mix and of its stems, of which there may
    be none. Raises DataError if there is no table or no song.
    """

    def __init__(
        self,
        table: Path,
        split: str,
        cache: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if not table.is_file():
            raise DataError(f"{table}: there is no such table; python -m assets.stems writes one")
        with table.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row.get("split") == split]
        try:
            found = [
                (DatasetFile(table.parent / r["file"], f"{r['package']}/{r['song']}"), r["stem"])
                for r in rows
            ]
        except KeyError as error:
            raise DataError(f"{table}: not a table of stems: it has no column {error}") from error
        if not found:
            raise DataError(f"{table}: it has no songs of the split {split}")
        self.cache = PcmCache([file for file, _ in found], cache, progress)
        stem_of = {file.path: stem for file, stem in found}
        songs: dict[str, tuple[list[int], list[int]]] = {}
        for number, source in enumerate(self.cache.sources):
            mix, stems = songs.setdefault(source.track, ([], []))
            (mix if stem_of[source.path] == _MIX else stems).append(number)
        self.songs = [(mix[0], stems) for mix, stems in songs.values() if mix]
        if not self.songs:
            raise DataError(f"{table}: none of its songs has a mix")

    def length(self, song: int) -> int:
        """Samples that the mix and all stems of a song have."""
        mix, stems = self.songs[song]
        return int(min(self.cache.count[n] for n in (mix, *stems)))

    def total(self, numbers: list[int], start: int, length: int) -> np.ndarray:
        """The sum ``[length]`` of files of the cache from sample ``start``."""
        parts = [self.cache.crop(number, start, length) for number in numbers]
        return np.asarray(sum(parts, np.zeros(length, np.float32)), np.float32)

    def sounding(self, numbers: list[int], start: int, length: int) -> list[int]:
        """Those files that are not silent there."""
        first = self.cache.first
        return [
            n
            for n in numbers
            if self.cache.power(first[n] + start, first[n] + start + length) > _QUIET
        ]


class StemCrops(Dataset[Tensor]):
    """The songs of every training step, a pure function of (seed, rank, step).

    Item ``step`` is ``[batch, 3, samples]``: of ``batch`` different songs the reference, the
    sample, and what is laid over it. The sample is one to ``len(stems) - 1`` stems. The reference
    is the song's mix, as in a library, or these stems alone, as in the paper. The overlay is of
    another song (*cross-song*), or the song's other stems (the paper's). A song without stems is
    sampled whole, and its overlay is of another song.
    """

    def __init__(
        self,
        bank: StemBank,
        batch: int,
        samples: int,
        seed: int,
        *,
        mix_share: float = 0.5,
        cross_song_share: float = 0.6,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.bank, self.batch, self.samples, self.seed = bank, batch, samples, seed
        self.mix_share, self.cross_song_share = mix_share, cross_song_share
        self.rank, self.world = rank, world
        self.usable = [s for s in range(len(bank.songs)) if bank.length(s) >= samples]
        if len(self.usable) < max(2, batch * world):
            raise DataError(
                f"a batch of {batch * world} needs as many songs of at least "
                f"{samples / audio.SAMPLE_RATE:.1f} s; there are {len(self.usable)}. "
                "Choose a smaller batch or add songs."
            )
        self.steps_per_epoch = len(self.usable) // (batch * world)

    def songs(self, step: int) -> Tensor:
        """Numbers ``[batch, 2]`` of the songs of a step: sampled, and laid over (-1: the same)."""
        return torch.tensor([drawn[:2] for drawn in self._draws(step)])

    def __getitem__(self, step: int) -> Tensor:
        return torch.from_numpy(np.stack([np.stack(drawn[2]()) for drawn in self._draws(step)]))

    def _draws(self, step: int) -> list[tuple[int, int, Callable[[], list[np.ndarray]]]]:
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(self.usable)
        begin = (place * self.world + self.rank) * self.batch
        rng = np.random.default_rng([self.seed, step, self.rank, 2])
        songs = [int(song) for song in order[begin : begin + self.batch]]
        return [self._draw(song, songs, rng) for song in songs]

    def _draw(
        self, song: int, batch: list[int], rng: np.random.Generator
    ) -> tuple[int, int, Callable[[], list[np.ndarray]]]:
        mix, _ = self.bank.songs[song]
        start, stems = self._place(song, rng)
        chosen = self._subset(stems, rng) if len(stems) > 1 else [mix]
        rest = [n for n in stems if n not in chosen]
        reference = [mix] if rng.random() < self.mix_share else chosen
        other, over, over_start = -1, rest, start
        if not rest or rng.random() < self.cross_song_share:
            # One outside of the batch, where it would count as a negative that is in the query.
            others = [s for s in self.usable if s not in batch]
            other = int(rng.choice(others or [s for s in self.usable if s != song]))
            over_start, stems = self._place(other, rng)
            over = self._subset(stems, rng) if len(stems) > 1 else [self.bank.songs[other][0]]

        def read() -> list[np.ndarray]:
            places = ((reference, start), (chosen, start), (over, over_start))
            return [self.bank.total(numbers, at, self.samples) for numbers, at in places]

        return song, other, read

    def _place(self, song: int, rng: np.random.Generator) -> tuple[int, list[int]]:
        """Where to crop a song, and its stems that sound in the middle of the crop."""
        mix, stems = self.bank.songs[song]
        third = self.samples // 3
        for _ in range(_TRIES):  # avoid silent crops: they would teach nothing
            start = int(rng.integers(self.bank.length(song) - self.samples + 1))
            if self.bank.sounding([mix], start + third, third):
                break
        return start, self.bank.sounding(stems, start + third, third)

    def _subset(self, stems: list[int], rng: np.random.Generator) -> list[int]:
        return sorted(rng.permutation(stems)[: int(rng.integers(1, len(stems)))].tolist())
