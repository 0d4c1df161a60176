"""Music for training: decode it once into a PCM cache, and draw seeded random crops."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from grafprint import audio
from grafprint.audio.datasets import DatasetFile
from grafprint.errors import DataError

log = logging.getLogger(__name__)

_BLOCK = audio.SAMPLE_RATE // 10  # samples per sum of squares


class PcmCache:
    """Decoded music in one memory-mapped int16 file, to be cropped anywhere at no cost.

    An hour of music takes 115 MB. Building can be interrupted and resumes where it stopped. Files
    that cannot be decoded are skipped and listed in ``failed``.
    """

    def __init__(
        self,
        sources: list[DatasetFile],
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        key = hashlib.sha256()
        for s in sources:
            size = s.path.stat().st_size if s.path.is_file() else -1
            key.update(f"{s.path}\0{size}\n".encode())
        self.folder = folder / key.hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        entries = self._build(sources, progress)
        self.failed = [
            (s.path, e["error"]) for s, e in zip(sources, entries, strict=True) if "error" in e
        ]
        kept = [(s, e) for s, e in zip(sources, entries, strict=True) if "error" not in e]
        if not kept:
            raise DataError("none of the files could be decoded")
        self.sources = [s for s, _ in kept]
        self.first = np.array([e["first"] for _, e in kept])
        self.count = np.array([e["count"] for _, e in kept])
        self.samples = np.memmap(self.folder / "audio.i16", np.int16, "r")

    def _build(
        self, sources: list[DatasetFile], progress: Callable[[int, int], None] | None
    ) -> list[dict[str, Any]]:
        listing = self.folder / "files.jsonl"
        entries = _complete_lines(listing)
        with (self.folder / "audio.i16").open("ab") as pcm, listing.open("a") as lines:
            end = sum(e.get("count", 0) for e in entries)
            pcm.truncate(2 * end)
            for number, source in enumerate(sources):
                if number >= len(entries):
                    entry: dict[str, Any] = {"path": str(source.path), "first": end}
                    try:
                        count = 0
                        for chunk in audio.stream(source.path):
                            clipped = np.clip(np.round(chunk * 32767), -32768, 32767)
                            pcm.write(clipped.astype(np.int16).tobytes())
                            count += len(chunk)
                        entry["count"] = count
                        end += count
                    except audio.AudioError as error:
                        log.warning("left out: %s", error)
                        entry["error"] = str(error)
                        pcm.flush()
                        pcm.truncate(2 * end)
                    pcm.flush()
                    lines.write(json.dumps(entry) + "\n")
                    lines.flush()
                    entries.append(entry)
                if progress:
                    progress(number + 1, len(sources))
        return entries

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def hours(self) -> float:
        """Hours of decoded music."""
        return float(self.count.sum()) / audio.SAMPLE_RATE / 3600

    @cached_property
    def _energy(self) -> np.ndarray:
        """Cumulative sum of squares at each tenth of a second of the cache, float64."""
        sums = [0.0]
        for begin in range(0, len(self.samples), _BLOCK << 10):
            part = np.asarray(self.samples[begin : begin + (_BLOCK << 10)], np.float32) / 32767
            sums.extend(np.add.reduceat(np.square(part), np.arange(0, len(part), _BLOCK)))
        return np.cumsum(sums, dtype=np.float64)

    def power(self, begin: int, end: int) -> float:
        """Mean square from sample ``begin`` to ``end`` of the cache, to a tenth of a second."""
        first, last = begin // _BLOCK, max(begin // _BLOCK + 1, end // _BLOCK)
        return float(self._energy[last] - self._energy[first]) / ((last - first) * _BLOCK)

    def crop(self, number: int, start: int, length: int) -> np.ndarray:
        """Float samples ``[length]`` of file ``number``."""
        begin = self.first[number] + start
        return np.asarray(self.samples[begin : begin + length], np.float32) / 32767


def _complete_lines(listing: Path) -> list[dict[str, Any]]:
    if not listing.is_file():
        return []
    text = listing.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # killed while a line was being written
        listing.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


class Crops(Dataset[Tensor]):
    """The batch of every training step, a pure function of (seed, rank, step).

    Item ``step`` is a float tensor ``[batch, samples]``: one random crop from each of ``batch``
    different tracks. Each epoch has the tracks in a new random order. There is no sampler state to
    save, so runs resume exactly. On a GPU all music is kept there (115 MB an hour), and crops never
    pass through the CPU.
    """

    def __init__(
        self,
        cache: PcmCache,
        batch: int,
        samples: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.cache, self.batch, self.samples, self.seed = cache, batch, samples, seed
        self.rank, self.world = rank, world
        long_enough = np.nonzero(cache.count >= samples)[0]
        tracks: dict[str, list[int]] = {}
        for number in long_enough:
            tracks.setdefault(cache.sources[number].track, []).append(int(number))
        self.tracks = list(tracks.values())
        if len(self.tracks) < batch * world:
            raise DataError(
                f"a batch of {batch * world} needs as many tracks of at least "
                f"{samples / audio.SAMPLE_RATE:.1f} s; there are {len(self.tracks)}. "
                "Choose a smaller --batch or add music."
            )
        self.steps_per_epoch = len(self.tracks) // (batch * world)
        self.resident: Tensor | None = None
        if device is not None and device.type == "cuda":
            self.resident = torch.from_numpy(np.array(cache.samples)).to(device)

    def __getitem__(self, step: int) -> Tensor:
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.tracks))
        begin = (place * self.world + self.rank) * self.batch
        rng = np.random.default_rng([self.seed, step, self.rank, 1])
        picked = [self.tracks[t] for t in order[begin : begin + self.batch]]
        begins = [self._begin(files, rng) for files in picked]
        if self.resident is not None:
            first = torch.tensor(begins).to(self.resident.device, non_blocking=True)
            where = first[:, None] + torch.arange(self.samples, device=self.resident.device)
            return self.resident[where].float() / 32767
        crops = np.stack([self.cache.samples[b : b + self.samples] for b in begins])
        return torch.from_numpy(crops.astype(np.float32) / 32767)

    def _begin(self, files: list[int], rng: np.random.Generator) -> int:
        """Where in the cache a crop of one of the files begins."""
        for _ in range(10):  # avoid silent crops: they would teach nothing
            number = files[rng.integers(len(files))]
            start = int(rng.integers(self.cache.count[number] - self.samples + 1))
            begin = int(self.cache.first[number]) + start
            if self.cache.power(begin, begin + self.samples) > 1e-6:
                break
        return begin
