"""Nearest neighbours with FAISS: exact while a library is small, IVF-PQ codes when it is large."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from grafprint.errors import ConfigError
from grafprint.files import replace, replace_text, writing
from grafprint.library.index import gpu, index_file, inverted_lists, opq
from grafprint.library.index.inverted_lists import Alive, Portion, ivf_of
from grafprint.library.index.tuning import Tuning

# An exact search costs 128 multiplications a fingerprint: at half a million (13 hours of audio at
# a hop of 96 ms) the 43 segments of a 5 s query take about 0.1 s on one core, and the vectors
# 256 MB of memory. Below that codes would save nothing that matters, and lose some neighbours.
EXACT_BELOW = 500_000
EXACT = "Flat"
NPROBE = 20  # as in the paper's code; where nothing was tuned
NEIGHBOURS = 20  # of a segment; the same
# Inverted lists: see choose_factory.
_CENTROIDS, _CENTROIDS_FOR = 1024, 1_000_000
_TRAIN_PER_CENTROID = 64  # FAISS warns below 39 and uses no more than 256
_TRAIN_LEAST = 1 << 15
_ROUNDS = 10  # of k-means; its own 25 take longer and find no more

# From so many queries on FAISS compares by matrix products. Its own bound is 128,000; but on two
# cores a query of 5 s takes a quarter of the time by products, and many at once an eighth.
faiss.cvar.distance_compute_blas_threshold = 16

_log = logging.getLogger(__name__)


def choose_factory(n: int) -> str:
    """The FAISS factory string for ``n`` fingerprints.

    ``Flat`` (exact) below :data:`EXACT_BELOW`, else ``OPQ32,IVF{nlist},PQ32x4fs``: a rotation,
    ``nlist`` inverted lists, and codes of 32 x 4 bits that are compared in registers. On real
    fingerprints these 16 bytes find more than the paper's 8 (PQ8), and in a fraction of the time
    (benchmarks/index_choice.py). ``nlist`` is 1024 around a million and grows with the square root
    of ``n``, in powers of two: it doubles with each fourfold growth (at 2, 8, 32 million), so that
    at a fixed number of probes neither the lists to compare nor the codes to scan grow faster than
    that root.
    """
    if n < EXACT_BELOW:
        return EXACT
    doublings = max(0, round(np.log2(n / _CENTROIDS_FOR) / 2))
    return coded(_CENTROIDS << doublings)


def coded(lists: int) -> str:
    """The FAISS factory string of the product's kind of codes, in so many inverted lists."""
    return f"OPQ32,IVF{lists},PQ32x4fs"


def training_size(factory: str, dim: int, n: int) -> int:
    """How many of ``n`` vectors to train on: enough for the inverted lists and the codes."""
    made = _make(factory, dim)
    if made.is_trained:
        return 0
    ivf = ivf_of(made)
    return min(n, max(_TRAIN_LEAST, _TRAIN_PER_CENTROID * ivf.nlist if ivf else 0))


def hyperplane_buckets(dim: int, bits: int, seed: int = 0) -> np.ndarray:
    """Locality-sensitive hashing by random hyperplanes, as directions ``[2^bits, dim]``.

    The planes are orthogonal, so the bucket whose direction is closest to a vector is the one of
    its signs, and the next ones are those that differ at the planes it is nearest to: searching
    ``nprobe`` inverted lists of these directions is multi-probe LSH. ValueError if ``bits`` is
    not 1 to ``dim``.
    """
    if not 1 <= bits <= dim:
        raise ValueError(f"there are 1 to {dim} bits for vectors of {dim} numbers, not {bits}")
    planes = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, bits)))[0].T
    signs = 1 - 2 * ((np.arange(1 << bits)[:, None] >> np.arange(bits)) & 1)
    return (signs @ planes / np.sqrt(bits)).astype(np.float32)


@dataclass(frozen=True)
class IndexState:
    """Which state of which library an index stands for: its rows ``[0, rows)``, less the removed.

    ``generation`` changes when rows are renumbered, ``removals`` whenever some die.
    """

    library_id: str
    generation: int
    rows: int
    removals: int
    factory: str


class RowIndex:
    """A FAISS index over a library's rows by inner product; its ids are row numbers.

    Inverted lists of most kinds are mapped from the file once there is one (inverted_lists.py), and
    copied to memory only to be changed there.
    """

    def __init__(
        self,
        index: faiss.Index,
        structure: np.ndarray | None,
        stamp: IndexState,
        tuning: Tuning | None = None,
    ) -> None:
        """``structure`` is the index serialised without entries, if its lists can be mapped."""
        self._index, self._structure = index, structure
        self.stamp = stamp
        self.tuning = tuning  # what an exact one has no need of

    @classmethod
    def train(
        cls, dim: int, stamp: IndexState, sample: np.ndarray, buckets: np.ndarray | None = None
    ) -> RowIndex:
        """An empty index, trained on ``sample [n, dim]`` where its kind needs training.

        Training is repeatable. With too few vectors to train on the index is exact instead.
        ``buckets [K, dim]`` are the inverted lists' directions where they are not to be found by
        k-means; an index of another kind or another number of lists does not use them.

        Raises:
            ValueError: ``stamp.factory`` is not a FAISS factory string.
        """
        index = _make(stamp.factory, dim)
        ivf = ivf_of(index)
        if buckets is not None and ivf is not None and ivf.nlist == len(buckets):
            # FAISS leaves a quantiser alone that has as many centroids as there are lists.
            ivf.quantizer.add(np.ascontiguousarray(buckets, np.float32))
        if not index.is_trained:
            try:
                _, heard = _sounding(sample)
                opq.train(index, heard)
                with gpu.comparing(ivf):
                    index.train(heard)
            except RuntimeError as failure:  # its only reason, the string being valid
                _log.info("%s cannot be trained yet (%s)", stamp.factory, failure)
                index = _make(EXACT, dim)
        mappable = inverted_lists.supported(ivf_of(index))
        return cls(index, faiss.serialize_index(index) if mappable else None, stamp)

    @property
    def exact(self) -> bool:
        """Whether it compares with every vector; such an index is quicker made than read."""
        inner = getattr(self._index, "index", None)
        return inner is not None and isinstance(faiss.downcast_index(inner), faiss.IndexFlat)

    @property
    def in_file(self) -> bool:
        """Whether its lists are mapped from a file once it is saved, and written without memory."""
        return self._structure is not None

    @property
    def lists(self) -> int:
        """Number of inverted lists; 1 if it has none."""
        ivf = ivf_of(self._index)
        return int(ivf.nlist) if ivf else 1

    def neighbours(self, segments: int) -> int:
        """How many neighbours to ask for, for each of the ``segments`` of a clip."""
        return self.tuning.neighbours * self.tuning.effort(segments) if self.tuning else NEIGHBOURS

    def nprobe(self, segments: int) -> int:
        """How many lists to look into for each of the ``segments`` of a clip."""
        if self.tuning is None:
            return NPROBE
        return min(self.tuning.nprobe * self.tuning.effort(segments), self.lists)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Add ``vectors [n, dim]`` of ``rows [n]``; zero vectors (silence) are left out."""
        rows, vectors = _heard(rows, vectors)
        if len(vectors):
            self._to_memory()
            self._index.add_with_ids(vectors, rows)

    def filling(self) -> AbstractContextManager[None]:
        """Within, much is added: GPUs help if FAISS has any."""
        return gpu.comparing(ivf_of(self._index))

    def remove(self, dead: np.ndarray) -> bool:
        """Remove the rows for which ``dead [rows]`` is true; False if this kind of index cannot."""
        self._to_memory()
        bitmap = np.packbits(dead, bitorder="little")
        try:
            self._index.remove_ids(faiss.IDSelectorBitmap(bitmap))  # type: ignore[arg-type,call-arg]
        except RuntimeError:  # for instance HNSW
            return False
        return True

    def search(
        self, queries: np.ndarray, k: int, nprobe: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ``k`` nearest rows of ``queries [m, dim]``: inner products and rows, both ``[m, k]``.

        ``nprobe`` inverted lists are looked into; if None, so many as are enough for one clip, of
        which the queries are the segments.

        Best first. Where there are fewer than ``k``, the rest has row -1 and product -inf. The
        products are exact or those of the codes, after the kind of index.
        """
        ivf = ivf_of(self._index)
        if ivf is not None:
            ivf.nprobe = nprobe or self.nprobe(len(queries))
        scores, rows = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        scores[rows < 0] = -np.inf
        return scores, rows

    def save(
        self,
        path: Path,
        stamp: IndexState | None = None,
        additions: Iterable[Portion] = (),
        alive: Alive | None = None,
        on_written: Callable[[RowIndex], None] | None = None,
    ) -> RowIndex:
        """Write the index to ``path``, and its stamp with checksums beside it as JSON.

        Returns the index that is there then. Where it is :attr:`in_file`, that has ``additions`` as
        well and the ``stamp`` that goes with them, and lacks the rows that are not ``alive`` (None:
        all are); memory does not grow with any of it. ``on_written`` sees it before it takes the
        place of an older one.

        Raises LibraryError if the disk is full or read-only, and what ``additions`` raise.
        """
        made = self
        known: dict[str, Any] = {}
        ivf = ivf_of(self._index)
        if ivf is not None:
            ivf.nprobe = NPROBE  # the file does not depend on past searches

        def write(partial: Path) -> None:
            nonlocal made
            if self._structure is None:
                known.update(index_file.write_whole(partial, self._index))
                return
            heard = (_heard(*portion) for portion in additions)
            with self.filling():
                known.update(
                    index_file.write_lists(partial, self._index, self._structure, heard, alive)
                )
            made = RowIndex(*index_file.read(partial, known, 0), stamp or self.stamp, self.tuning)
            if on_written:
                on_written(made)

        replace(path, write)
        tuning = asdict(made.tuning) if made.tuning else None
        text = json.dumps({**asdict(made.stamp), "tuning": tuning, **known}, indent=1)
        replace_text(_record(path), text)
        return made

    @classmethod
    def load(cls, path: Path, *, thorough: bool = False) -> RowIndex | None:
        """The index saved at ``path``; None if there is none or it is damaged.

        Of very large lists the bytes are only looked at if ``thorough``.
        """
        try:
            stamp, tuning, known = _recorded(path)
            checked = math.inf if thorough else index_file.CHECKED_BYTES
            return cls(*index_file.read(path, known, checked), stamp, tuning)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as failure:
            _log.warning("%s is damaged and will be made anew (%s)", path, failure)
            return None

    def _to_memory(self) -> None:
        """Before it is changed."""
        if self._structure is not None and inverted_lists.mapped(ivf_of(self._index)):
            self._index = index_file.in_memory(self._index, self._structure)


def saved_state(path: Path) -> IndexState | None:
    """What the index saved at ``path`` stands for, by its record; None if there is none."""
    try:
        return _recorded(path)[0] if path.is_file() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def delete(path: Path) -> None:
    """Delete a saved index, if there is one."""
    with writing(path):
        _record(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def check_factory(factory: str, dim: int) -> None:
    """Raise ConfigError unless FAISS understands ``factory`` for vectors of ``dim`` numbers."""
    ivf = ivf_of(_make(factory, dim))
    if ivf is not None and ivf.nlist < 1:
        raise ConfigError(f"{factory!r} is an index without lists: it could hold nothing")


def _make(factory: str, dim: int) -> faiss.Index:
    """An index that can be given ids: an inverted file has its own, others get a table of them."""
    try:
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as failure:
        raise ConfigError(
            f"{factory!r} is not an index that FAISS can make of {dim} numbers: {failure}"
        ) from failure
    owner = getattr(index, "index", index) if _is(index, faiss.IndexPreTransform) else index
    if not (_is(owner, faiss.IndexIVF) or _is(index, faiss.IndexIDMap)):
        index = faiss.index_factory(dim, f"IDMap,{factory}", faiss.METRIC_INNER_PRODUCT)
    ivf = ivf_of(index)
    if isinstance(ivf, faiss.IndexIVFPQ):
        # Ordering the codes for a kind of search that is not used takes most of the training.
        ivf.do_polysemous_training = False  # type: ignore[attr-defined]
    if ivf is not None:
        ivf.cp.niter = _ROUNDS
    return index


def _is(index: faiss.Index, kind: type) -> bool:
    return isinstance(faiss.downcast_index(index), kind)


def _sounding(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``vectors [n, dim]`` are not silence, bool [n], and those, ready for FAISS."""
    sounding = np.asarray(vectors.any(axis=1))
    return sounding, np.ascontiguousarray(vectors[sounding], np.float32)


def _heard(rows: np.ndarray, vectors: np.ndarray) -> Portion:
    """Rows and vectors less silence."""
    sounding, vectors = _sounding(vectors)
    return np.asarray(rows[sounding], np.int64), vectors


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _recorded(path: Path) -> tuple[IndexState, Tuning | None, dict[str, Any]]:
    """IndexState and tuning of a saved index, and what its file is checked by."""
    record = json.loads(_record(path).read_text(encoding="utf-8"))
    known = {name: record.pop(name) for name in ("crc32", "lists") if name in record}
    tuned = record.pop("tuning", None)
    return IndexState(**record), Tuning(**tuned) if tuned else None, known
