"""Processes that share the work of the accuracy benchmarks: fingerprinting files, asking queries.

Each loads the network on the device and uses one thread. Results are taken in the order of files
and queries, so that libraries and journals equal those of a single process.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar
from unittest import mock

import faiss
import numpy as np
import torch

from benchmarks.shared.caching_fingerprinter import CachingFingerprinter
from benchmarks.shared.gpu_exact_search import DeviceLibrary
from grafprint.audio.datasets import find_clips, load_clip, of_split
from grafprint.audio.folders import Failure, audio_files
from grafprint.degradation.banks import NoiseBank, RoomBank
from grafprint.errors import DataError
from grafprint.evaluation import Ask, EvaluationConfig, Outcome, QuerySet, query_tracks
from grafprint.fingerprint import Fingerprinter
from grafprint.library import Library, add_file
from grafprint.library.add_file import CountedAudio, FileFingerprints
from grafprint.library.index.row_index import IndexState
from grafprint.models import checkpoint

GPU_BATCH = 512  # windows at once: fewer leave a GPU idle
# Read by the numerical libraries when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Model:
    """A network's file, device and precision; ``hop_frames`` None: its own hop.

    The folder ``memory`` caches encoded queries, if they will be used again.
    """

    path: Path
    device: str = "cpu"
    hop_frames: int | None = None
    memory: Path | None = None
    precision: str = "auto"

    def load(self) -> Fingerprinter:
        """The network. Raises CheckpointError if it cannot be used."""
        encoder, features, facts = checkpoint.load_encoder(self.path)
        if self.hop_frames is not None:
            features = replace(features, hop_frames=self.hop_frames)
        batch = 64 if self.device == "cpu" else GPU_BATCH
        if self.memory is None:
            return Fingerprinter(encoder, features, self.device, batch, self.precision, facts)
        remembering = CachingFingerprinter(
            encoder, features, self.device, batch, self.precision, facts
        )
        remembering.memory = self.memory
        return remembering


class WorkerPool:
    """``processes`` processes, started when first needed and ended by the context manager."""

    def __init__(self, processes: int) -> None:
        self._ahead = 2 * processes
        self._stack = contextlib.ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._banks: dict[tuple[Path, Path], Path] = {}
        # The processes inherit it: they read it before their own code could set it.
        self._stack.enter_context(mock.patch.dict(os.environ, dict.fromkeys(_THREADS, "1")))
        self._executor = self._stack.enter_context(
            ProcessPoolExecutor(processes, get_context("spawn"), _begin)
        )

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def map(
        self, work: Callable[[_Item], _Result], items: Iterable[_Item]
    ) -> Generator[_Result, None, None]:
        """The results of ``work`` in the order of the items; only a few are started ahead.

        Closing the iterator waits for those. Raises whatever ``work`` raises.
        """
        waiting: deque[Future[_Result]] = deque()
        left = iter(items)
        try:
            for item in itertools.islice(left, self._ahead):
                waiting.append(self._executor.submit(work, item))
            while waiting:
                result = waiting.popleft().result()
                for item in itertools.islice(left, 1):
                    waiting.append(self._executor.submit(work, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def banks(self, noise: Path, rooms: Path) -> Path:
        """A file with the noises and rooms of the test split, decoded once by all processes."""
        if (noise, rooms) not in self._banks:
            path = self._folder / f"banks-{len(self._banks)}"
            found = NoiseBank(*self._clips(noise)), RoomBank(*self._clips(rooms))
            path.write_bytes(pickle.dumps(found))
            self._banks[noise, rooms] = path
        return self._banks[noise, rooms]

    def _clips(self, where: Path) -> tuple[list[np.ndarray], list[str]]:
        """As ``datasets.load_clips``."""
        paths = [source.path for source in of_split(find_clips(where), "test")]
        found = list(zip(paths, self.map(_clip, paths), strict=True))
        kept = [(clip, path.stem) for path, clip in found if clip is not None]
        if not kept:
            raise DataError(f"{where}: none of the files could be decoded")
        return [clip for clip, _ in kept], [name for _, name in kept]


def worker_pool(processes: int) -> contextlib.AbstractContextManager[WorkerPool | None]:
    """A pool, or None for a single process."""
    return WorkerPool(processes) if processes > 1 else contextlib.nullcontext()


def _begin() -> None:
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)


def _clip(path: Path) -> np.ndarray | None:
    try:
        return load_clip(path)
    except ValueError as error:
        log.warning("left out: %s", error)
        return None


_network = lru_cache(maxsize=1)(Model.load)


# Libraries ------------------------------------------------------------------------------------


def fingerprint(model: Model, file: Path) -> FileFingerprints | None:
    """Fingerprint a file; None if a library could not add it."""
    counted = CountedAudio(file, landmarks=True)
    try:
        stamp = add_file.file_stamp(file)
        vectors = np.concatenate(list(_network(model).stream(counted)))
    except (OSError, ValueError):  # AudioError among them
        return None
    if not vectors.any():
        return None
    found = counted.landmarks(len(vectors))
    return FileFingerprints(vectors.astype("<f2"), counted.duration_s, stamp, landmarks=found)


# Evaluations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Everything a process needs to join an evaluation. ``stamp`` is the library's."""

    model: Model
    library: Path
    stamp: IndexState
    nprobe: int | None
    test: Path
    banks: Path
    config: EvaluationConfig


def ask(place: Place, number: int) -> list[Outcome]:
    """``QuerySet.ask``."""
    return _query_set(place).ask(number)


@lru_cache(maxsize=1)
def _query_set(place: Place) -> QuerySet:
    device = place.model.device
    library = (
        Library.open(place.library) if device == "cpu" else DeviceLibrary.on(device, place.library)
    )
    library.nprobe = place.nprobe
    tracks = query_tracks(library, place.test)
    noises, rooms = load_banks(place.banks)
    return QuerySet.of(library, _network(place.model), noises, rooms, place.config, tracks)


@lru_cache(maxsize=1)
def load_banks(path: Path) -> tuple[NoiseBank, RoomBank]:
    """Load the file of :meth:`WorkerPool.banks`."""
    noises, rooms = pickle.loads(path.read_bytes())
    return noises, rooms


# Both -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shared:
    """The work with one network that a pool does for this process."""

    pool: WorkerPool
    model: Model

    def add_folder(
        self, library: Library, folder: Path, fingerprinter: Fingerprinter
    ) -> tuple[int, int]:
        """As ``Library.add_folder``; returns the numbers of added and of failed files."""
        unreadable: list[Failure] = []
        files = audio_files(folder, unreadable)
        known = {library.located(path) for path in library.catalogue.files}
        new = [file for file in files if add_file.real(file) not in known]
        added, failed = 0, len(unreadable)
        with contextlib.closing(self.pool.map(partial(fingerprint, self.model), new)) as results:
            for file in files:
                prepared = None if add_file.real(file) in known else next(results)
                try:
                    result = add_file.add_file(library, file, fingerprinter, prepared=prepared)
                    added += result.status == "added"
                except ValueError:  # AudioError among them
                    failed += 1
        library.finish()
        return added, failed

    def asking(
        self, library: Library, config: EvaluationConfig, test: Path, noise: Path, rooms: Path
    ) -> tuple[NoiseBank, RoomBank, Ask]:
        """The noises and rooms of the test split, and a function that asks queries with them."""
        banks = self.pool.banks(noise, rooms)
        place = Place(
            self.model, library.path, library.index_state(), library.nprobe, test, banks, config
        )
        return *load_banks(banks), partial(self.pool.map, partial(ask, place))
