"""Songs as stems, from a table, and crops of them to train sample identification."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grafprint import audio
from grafprint.audio.datasets import DatasetFile, find_music
from grafprint.errors import DataError
from grafprint.training.data import PcmCache

MIX = "mix"  # the stem that is the whole song, as assets.stems writes it
_QUIET = 1e-6  # mean square below which a stem is silent in a crop
_TRIES = 10

# A song, the one laid over it, and how to read reference, sample and overlay.
Drawn = tuple[int, int, Callable[[], list[np.ndarray]]]


class StemBank:
    """The songs of one split of a table ``stems.csv``, decoded once, and whole recordings.

    ``songs`` has for each song the cache's number of its mix and of its stems, of which there may
    be none. ``mixes`` are recordings without stems; those of one ``track`` are one song in
    ``recording_of``, since they may be of the same place. Raises DataError if there is no table or
    no song.
    """

    def __init__(
        self,
        table: Path,
        split: str,
        cache: Path,
        progress: Callable[[int, int], None] | None = None,
        mixes: Sequence[DatasetFile] = (),
    ) -> None:
        found = read_stem_table(table, split)
        if not found and not mixes:
            raise DataError(f"{table}: it has no songs of the split {split}")
        self.cache = PcmCache([file for file, _ in found] + list(mixes), cache, progress)
        stem_of = {file.path: stem for file, stem in found}
        songs: dict[str, tuple[list[int], list[int]]] = {}
        self.songs: list[tuple[int, list[int]]] = []
        recordings: list[tuple[int, str]] = []
        for number, source in enumerate(self.cache.sources):
            if source.path not in stem_of:
                recordings.append((number, source.track))
                continue
            mix, stems = songs.setdefault(source.track, ([], []))
            (mix if stem_of[source.path] == MIX else stems).append(number)
        named = [(name, mix[0], stems) for name, (mix, stems) in songs.items() if mix]
        named += [(f"recording {track}", number, []) for number, track in recordings]
        if not named:
            raise DataError(f"{table}: none of its songs has a mix")
        self.songs = [(mix, stems) for _, mix, stems in named]
        names = {name: number for number, name in enumerate(dict.fromkeys(n for n, _, _ in named))}
        self.recording_of = [names[name] for name, _, _ in named]

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


def is_stem_table(path: str | Path) -> bool:
    """Whether a file is a table of songs as stems, rather than a manifest of music."""
    path = Path(path)
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return {"song", "stem", "file"} <= set(next(csv.reader(file), []))


def stem_banks(
    table: Path,
    mixes: str | Path | None,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, StemBank]:
    """The songs of the splits ``train`` and, if there are any, ``valid``.

    ``mixes`` are whole recordings, as :func:`~grafprint.audio.datasets.find_music` takes them.
    Raises DataError if there is no table, or it has no song to train with.
    """
    recordings = [] if mixes is None else find_music(mixes)
    banks = {}
    for split in ("train", "valid"):
        chosen = [file for file in recordings if file.split == split]
        if chosen or read_stem_table(table, split):
            banks[split] = StemBank(table, split, cache, progress, chosen)
    if "train" not in banks:
        raise DataError(f"{table}: it has no songs of the split train")
    return banks


def read_stem_table(table: Path, split: str) -> list[tuple[DatasetFile, str]]:
    """The files of a split and the names of their stems; a file's ``track`` is PACKAGE/SONG.

    Raises DataError if there is no table, or it is another one.
    """
    if not table.is_file():
        raise DataError(f"{table}: there is no such table; python -m assets.stems writes one")
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("split") == split]
    try:
        return [
            (DatasetFile(table.parent / r["file"], f"{r['package']}/{r['song']}"), r["stem"])
            for r in rows
        ]
    except KeyError as error:
        raise DataError(f"{table}: not a table of stems: it has no column {error}") from error


class StemCrops(Dataset[Tensor]):
    """The songs of every training step, a pure function of (seed, rank, step).

    Item ``step`` is ``[batch, 3, samples]``: of ``batch / places`` different songs, each at
    ``places`` places, the reference, the sample, and what is laid over it. The sample is one to
    ``len(stems) - 1`` stems. The reference is the song's mix, as in a library, or these stems
    alone, as in the paper. The overlay is of another song (*cross-song*), or the song's other
    stems (the paper's). A song without stems is sampled whole, and its overlay is of another song.

    Args:
        mix_share, cross_song_share: how often the reference is the mix, the overlay another song.
        stem_share: of songs with stems in a batch, and among overlays; None: all songs are drawn
            alike. Where there are songs of one kind only, it does not count.
        seconds: crops are from the first seconds of each song.
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
        stem_share: float | None = None,
        places: int = 1,
        seconds: float = math.inf,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.bank, self.batch, self.samples, self.seed = bank, batch, samples, seed
        self.mix_share, self.cross_song_share = mix_share, cross_song_share
        self.places, self.rank, self.world = places, rank, world
        longest = math.inf if seconds == math.inf else max(samples, seconds * audio.SAMPLE_RATE)
        self.length = [int(min(bank.length(s), longest)) for s in range(len(bank.songs))]
        self.usable = [s for s in range(len(bank.songs)) if self.length[s] >= samples]
        whole, rest = divmod(batch, places)
        if rest or not whole:
            raise DataError(f"a batch of {batch} is no multiple of {places} places in each song")
        with_stems = [s for s in self.usable if len(bank.songs[s][1]) > 1]
        without = [s for s in self.usable if len(bank.songs[s][1]) <= 1]
        if stem_share is None or not with_stems or not without:
            self.kinds = [(self.usable, whole)]
            self.stem_share = 1.0
        else:
            count = round(stem_share * whole)
            self.kinds = [(with_stems, count), (without, whole - count)]
            self.stem_share = stem_share
        for songs, count in self.kinds:
            if len(self.usable) < 2 or len(songs) < count * world:
                raise DataError(
                    f"a batch of {batch * world} needs {max(2, count * world)} songs of at least "
                    f"{samples / audio.SAMPLE_RATE:.1f} s; there are {len(songs)}. Choose a "
                    "smaller batch or more places in each song, or add songs."
                )

    def songs(self, step: int) -> Tensor:
        """Numbers ``[batch, 2]`` of the songs of a step: sampled, and laid over (-1: the same).

        Recordings of one track have one number.
        """
        of = self.bank.recording_of
        pairs = [(of[song], of[other] if other >= 0 else -1) for song, other, _ in self.draw(step)]
        return torch.tensor(pairs)

    def __getitem__(self, step: int) -> Tensor:
        return torch.from_numpy(np.stack([np.stack(read()) for _, _, read in self.draw(step)]))

    def draw(self, step: int) -> list[Drawn]:
        """For each item its song, the one laid over it (-1: the same), and how to read it."""
        picked: list[int] = []
        for kind, (songs, count) in enumerate(self.kinds):
            if not count:
                continue
            epoch, place = divmod(step, len(songs) // (count * self.world))
            order = np.random.default_rng([self.seed, epoch, kind]).permutation(songs)
            begin = (place * self.world + self.rank) * count
            picked += [int(song) for song in order[begin : begin + count]]
        rng = np.random.default_rng([self.seed, step, self.rank, 2])
        return [self._draw(s, picked, rng) for s in picked for _ in range(self.places)]

    def _draw(self, song: int, batch: list[int], rng: np.random.Generator) -> Drawn:
        mix, _ = self.bank.songs[song]
        start, stems = self._place(song, rng)
        whole = len(stems) <= 1
        chosen = [mix] if whole else self._subset(stems, rng)
        # Not the only stem that sounds: that is the sample itself.
        rest = [] if whole else [n for n in stems if n not in chosen]
        reference = [mix] if rng.random() < self.mix_share else chosen
        other, over, over_start = -1, rest, start
        if not rest or rng.random() < self.cross_song_share:
            other = self._other(song, batch, rng)
            over_start, stems = self._place(other, rng)
            over = self._subset(stems, rng) if len(stems) > 1 else [self.bank.songs[other][0]]

        def read() -> list[np.ndarray]:
            places = ((reference, start), (chosen, start), (over, over_start))
            return [self.bank.total(numbers, at, self.samples) for numbers, at in places]

        return song, other, read

    def _other(self, song: int, batch: list[int], rng: np.random.Generator) -> int:
        """A song to lay over this one: another one's music is no negative of what it is in."""
        if len(self.kinds) == 1:
            kind = self.usable
        else:
            kind = self.kinds[int(rng.random() >= self.stem_share)][0]
        of, own = self.bank.recording_of, self.bank.recording_of[song]
        for allowed in (batch, [song]):  # one of the batch, if there are no others
            for _ in range(100):
                other = kind[int(rng.integers(len(kind)))]
                if other not in allowed and of[other] != own:
                    return other
        return next(s for s in self.usable if s != song)

    def _place(self, song: int, rng: np.random.Generator) -> tuple[int, list[int]]:
        """Where to crop a song, and its stems that sound in the middle of the crop."""
        mix, stems = self.bank.songs[song]
        third = self.samples // 3
        for _ in range(_TRIES):  # avoid silent crops: they would teach nothing
            start = int(rng.integers(self.length[song] - self.samples + 1))
            if self.bank.sounding([mix], start + third, third):
                break
        return start, self.bank.sounding(stems, start + third, third)

    def _subset(self, stems: list[int], rng: np.random.Generator) -> list[int]:
        return sorted(rng.permutation(stems)[: int(rng.integers(1, len(stems)))].tolist())
