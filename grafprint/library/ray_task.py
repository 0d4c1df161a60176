"""What a node of a Ray cluster does for the program that indexes: fingerprint files, and no more.

Its processes know neither the library nor its passwords; see ray_cluster.py.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grafprint.errors import AudioError, CheckpointError, ConfigError, GraFPrintError
from grafprint.library.add_file import FileFingerprints, fingerprint_file

if TYPE_CHECKING:
    from grafprint.fingerprint import Fingerprinter

_HASH = "S16"  # of a content's hash: 64 bits are enough, as the library itself decides in the end


@dataclass(frozen=True)
class Job:
    """What all files of a run have in common; small, as it goes along with each.

    ``weights`` and ``contents`` refer to arrays in Ray's store, which a process fetches once: the
    network's file (uint8), and :func:`shortened` hashes. ``encoder`` is ``module:Class`` of a
    network of one's own, else empty. ``folder``: what is indexed, as named in ``place``, the
    current folder.
    """

    version: str
    model_id: str
    encoder: str
    weights: Any
    contents: Any
    place: str
    folder: Path
    dim: int
    window_s: float
    keeps_landmarks: bool


@dataclass(frozen=True, eq=False)
class Done:
    """What became of a file on ``node``; ``unfit``: the node cannot do any, and the error why."""

    node: str
    result: FileFingerprints | Exception
    unfit: bool = False


class Contents:
    """The contents that a library had when the run began: those are not fingerprinted again."""

    def __init__(self, hashes: np.ndarray) -> None:
        self._hashes = hashes

    def with_content(self, content_hash: str) -> bool:
        """Whether the library has the content."""
        (wanted,) = shortened([content_hash])
        at = int(np.searchsorted(self._hashes, wanted))
        return at < len(self._hashes) and bool(self._hashes[at] == wanted)

    def keeps_out(self, content_hash: str) -> bool:
        """False: not known here. Such files are rare, and the library refuses them."""
        return False


@dataclass(frozen=True)
class Outline:
    """What :func:`fingerprint_file` asks of a library."""

    catalogue: Contents
    dim: int
    window_s: float
    keeps_landmarks: bool


def shortened(hashes: list[str]) -> np.ndarray:
    """The beginnings of hashes, sorted: ``[n]``."""
    return np.sort(np.array([text.encode()[:16] for text in hashes], _HASH))


def own_version() -> str:
    """The version of this package."""
    return str(import_module(__name__.partition(".")[0]).__version__)


def work(job: Job, file: Path) -> Done:
    """Fingerprint a file, in a process of a node; errors are part of what is returned.

    The vectors are rounded to float16 as in the library, which halves what is sent.
    """
    import ray

    node = str(ray.util.get_node_ip_address())
    try:
        outline, fingerprinter = _prepared(job)
    except GraFPrintError as error:
        return Done(node, error, unfit=True)
    try:
        found = fingerprint_file(outline, file, fingerprinter, lambda seconds: None)
    except (GraFPrintError, ValueError) as error:
        if not file.exists() and _is_empty(job.folder):
            return Done(node, ConfigError(f"it does not see {job.folder}"), unfit=True)
        if not os.access(file, os.R_OK):
            error = AudioError(f"{error} (the node {node} cannot read it)")
        return Done(node, error)
    return Done(node, replace(found, vectors=found.vectors.astype("<f2")))


def _is_empty(folder: Path) -> bool:
    """Whether a folder is missing or empty, as a mount point is; or the file is missing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return not folder.is_file()


@lru_cache(maxsize=1)
def _prepared(job: Job) -> tuple[Outline, Fingerprinter]:
    """The outline of the library and the network, once in each process.

    Raises GraFPrintError if this node cannot take part.
    """
    import ray

    if own_version() != job.version:
        raise ConfigError(f"it has grafprint {own_version()}, not {job.version}: install the same")
    try:
        os.chdir(job.place)  # names of files are shown as given, so some begin there
    except OSError as error:
        if not job.folder.is_absolute():
            raise ConfigError(f"it does not see {job.place}: {error.strerror}") from error
    weights, hashes = ray.get([job.weights, job.contents])
    outline = Outline(Contents(hashes), job.dim, job.window_s, job.keeps_landmarks)
    return outline, _load(weights, job)


def _load(weights: np.ndarray, job: Job) -> Fingerprinter:
    """The network of a file's bytes (uint8). Raises CheckpointError, ConfigError."""
    import torch

    from grafprint.fingerprint import Fingerprinter
    from grafprint.models.encoders import import_network

    torch.set_num_threads(1)  # a process for each core
    network = None
    if job.encoder:
        sys.path.insert(0, os.getcwd())  # where the program finds it, too
        network = import_network(job.encoder)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(weights.data)
        file.flush()
        loaded = Fingerprinter.load(file.name, network=network)
    if loaded.model_id != job.model_id:
        raise CheckpointError(f"its network is {loaded.model_id}, not {job.model_id}")
    return loaded
