"""Nearest neighbours with FAISS: exact for a small library, IVF-PQ codes for a large one."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
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

# The 43 segments of a 5 s query take 25 ms on one core to compare with 100,000 fingerprints (2.7
# hours of audio at a hop of 96 ms), a tenth of what it takes to compute them. Above that, codes are
# ten times as fast and more; below it, they would save nothing that matters (benchmarks/scale.py).
EXACT_BELOW = 100_000
EXACT = "Flat"
# For an index that was not tuned; as in the paper's code.
NPROBE = 20
NEIGHBOURS = 20  # for each segment
# Inverted lists: see choose_factory.
_CENTROIDS, _CENTROIDS_FOR = 1024, 1_000_000
_TRAIN_PER_CENTROID = 64  # FAISS warns below 39 and uses no more than 256
_TRAIN_LEAST = 1 << 15
_ROUNDS = 10  # of k-means; FAISS's default of 25 takes longer and gives no better recall

# FAISS searches by matrix products from this number of queries on. Its default is 128,000, but on
# two cores matrix products take a quarter of the time for a query of 5 s, an eighth for many.
faiss.cvar.distance_compute_blas_threshold = 16

# Smaller searches run on one thread. FAISS's threads wait for each other by spinning: with other
# programs on all cores, two of them need many times the CPU time of one, and take far longer. Alone
# on the machine, they save half of some milliseconds.
_SHARED_QUERIES = 1024  # segments, of many clips, in an exact search
_SHARED_CODES = 8_000_000  # compared by an index: about 16 ms on one core

_log = logging.getLogger(__name__)


def choose_factory(n: int) -> str:
    """The FAISS factory string for ``n`` fingerprints.

    ``Flat`` (exact) below :data:`EXACT_BELOW`, else ``OPQ32,IVF{nlist},PQ32x4fs``: a rotation,
    ``nlist`` inverted lists, and codes of 32 x 4 bits that are compared in registers. On real
    fingerprints these 16 bytes have a higher recall than the paper's 8 (PQ8), in a fraction of the
    time (benchmarks/index_choice.py). ``nlist`` is 1024 around a million and doubles with each
    fourfold growth (at 2, 8, 32 million), and is 512 and 256 below 500,000 and 125,000. At a fixed
    number of probes, both the centroids to compare and the codes to scan then grow with the square
    root of ``n``.
    """
    if n < EXACT_BELOW:
        return EXACT
    return coded(round(_CENTROIDS * 2.0 ** round(np.log2(n / _CENTROIDS_FOR) / 2)))


def coded(lists: int) -> str:
    """The FAISS factory string of the default codes in ``lists`` inverted lists."""
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
    """Which rows of which library an index holds: ``[0, rows)`` without the removed ones.

    ``generation`` changes when rows are renumbered, ``removals`` whenever rows are removed.
    """

    library_id: str
    generation: int
    rows: int
    removals: int
    factory: str


class RowIndex:
    """A FAISS index over a library's rows by inner product; its ids are row numbers.

    A saved index of most kinds maps its inverted lists from the file (inverted_lists.py), and
    copies them to memory only to change them there.
    """

    def __init__(
        self,
        index: faiss.Index,
        structure: np.ndarray | None,
        state: IndexState,
        tuning: Tuning | None = None,
    ) -> None:
        """``structure`` is the index serialised without entries, if its lists can be mapped."""
        self._index, self._structure = index, structure
        self.state = state
        self.tuning = tuning  # None for an exact index, which needs none

    @classmethod
    def train(
        cls, dim: int, state: IndexState, sample: np.ndarray, buckets: np.ndarray | None = None
    ) -> RowIndex:
        """An empty index, trained on ``sample [n, dim]`` if its kind needs training.

        Training is repeatable. If there are too few vectors to train on, the index is exact.
        ``buckets [K, dim]`` are used as the centroids of an index with K inverted lists, instead
        of k-means.

        Raises ValueError if ``state.factory`` is not a FAISS factory string.
        """
        index = _make(state.factory, dim)
        ivf = ivf_of(index)
        if buckets is not None and ivf is not None and ivf.nlist == len(buckets):
            # FAISS does not train a quantiser that has as many centroids as there are lists.
            ivf.quantizer.add(np.ascontiguousarray(buckets, np.float32))
        if not index.is_trained:
            try:
                _, training = _non_silent(sample)
                opq.train(index, training)
                with gpu.use_gpus(ivf), _threads(len(sample) > _TRAIN_LEAST):
                    index.train(training)
            except RuntimeError as failure:  # too few vectors: the factory string is valid
                _log.info("%s cannot be trained yet (%s)", state.factory, failure)
                index = _make(EXACT, dim)
        mappable = inverted_lists.supported(ivf_of(index))
        return cls(index, faiss.serialize_index(index) if mappable else None, state)

    @property
    def exact(self) -> bool:
        """Whether a search compares with every vector; such an index is quicker made than read."""
        inner = getattr(self._index, "index", None)
        return inner is not None and isinstance(faiss.downcast_index(inner), faiss.IndexFlat)

    @property
    def in_file(self) -> bool:
        """Whether its lists are mapped from the file once saved, and written list by list."""
        return self._structure is not None

    @property
    def lists(self) -> int:
        """Number of inverted lists; 1 if it has none."""
        ivf = ivf_of(self._index)
        return int(ivf.nlist) if ivf else 1

    def neighbours(self, segments: int) -> int:
        """How many neighbours to ask for, for each segment of a clip of ``segments``."""
        return self.tuning.neighbours * self.tuning.effort(segments) if self.tuning else NEIGHBOURS

    def nprobe(self, segments: int) -> int:
        """How many lists to probe for each segment of a clip of ``segments``."""
        if self.tuning is None:
            return NPROBE
        return min(self.tuning.nprobe * self.tuning.effort(segments), self.lists)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Add ``vectors [n, dim]`` of ``rows [n]``; zero vectors (silence) are left out."""
        rows, vectors = _without_silence(rows, vectors)
        if len(vectors):
            self._to_memory()
            self._index.add_with_ids(vectors, rows)

    def filling(self) -> AbstractContextManager[None]:
        """A context for adding many vectors: uses GPUs if FAISS has any."""
        return gpu.use_gpus(ivf_of(self._index))

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

        ``nprobe`` inverted lists are probed; if None, as many as one clip needs whose segments the
        queries are.

        Best first. If there are fewer than ``k``, the rest has row -1 and product -inf. The
        products are exact or those of the codes, depending on the kind of index.
        """
        ivf = ivf_of(self._index)
        if ivf is not None:
            ivf.nprobe = nprobe = nprobe or self.nprobe(len(queries))
        with _threads(self._worth_sharing(len(queries), nprobe)):
            scores, rows = self._index.search(np.ascontiguousarray(queries, np.float32), k)
        scores[rows < 0] = -np.inf
        return scores, rows

    def save(
        self,
        path: Path,
        state: IndexState | None = None,
        additions: Iterable[Portion] = (),
        alive: Alive | None = None,
        on_written: Callable[[RowIndex], None] | None = None,
    ) -> RowIndex:
        """Write the index to ``path``, and its state and checksums beside it as JSON.

        Returns the saved index. If it is :attr:`in_file`, the saved index also has ``additions``
        and their ``state``, and lacks the rows that are not ``alive`` (None: all are); memory does
        not grow with either. ``on_written`` is called with it before it replaces an older file.

        Raises LibraryError if the disk is full or read-only, and whatever ``additions`` raise.
        """
        saved = self
        known: dict[str, Any] = {}
        ivf = ivf_of(self._index)
        if ivf is not None:
            ivf.nprobe = NPROBE  # the file does not depend on past searches

        def write(partial: Path) -> None:
            nonlocal saved
            if self._structure is None:
                known.update(index_file.write_whole(partial, self._index))
                return
            portions = (_without_silence(*portion) for portion in additions)
            with self.filling():
                known.update(
                    index_file.write_lists(partial, self._index, self._structure, portions, alive)
                )
            saved = RowIndex(*index_file.read(partial, known, 0), state or self.state, self.tuning)
            if on_written:
                on_written(saved)

        replace(path, write)
        tuning = asdict(saved.tuning) if saved.tuning else None
        text = json.dumps({**asdict(saved.state), "tuning": tuning, **known}, indent=1)
        replace_text(_record(path), text)
        return saved

    @classmethod
    def load(cls, path: Path, *, thorough: bool = False) -> RowIndex | None:
        """The index saved at ``path``; None if there is none or it is damaged.

        Very large lists are checked only if ``thorough``.
        """
        try:
            state, tuning, known = _read_record(path)
            checked = math.inf if thorough else index_file.CHECKED_BYTES
            return cls(*index_file.read(path, known, checked), state, tuning)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as failure:
            _log.warning("%s is damaged and will be rebuilt (%s)", path, failure)
            return None

    def _worth_sharing(self, queries: int, nprobe: int | None) -> bool:
        """Whether a search is so large that more than one thread shall share it."""
        if self.exact:  # the threads meet after every thousand vectors
            return queries >= _SHARED_QUERIES
        return queries * len(self) * (nprobe or 1) / self.lists >= _SHARED_CODES

    def _to_memory(self) -> None:
        """Copy mapped lists to memory, where they can be changed."""
        if self._structure is not None and inverted_lists.mapped(ivf_of(self._index)):
            self._index = index_file.in_memory(self._index, self._structure)


@contextmanager
def _threads(shared: bool) -> Iterator[None]:
    """Let FAISS use one thread for what this thread asks of it, or all if ``shared``."""
    threads = faiss.omp_get_max_threads()
    if not shared:
        faiss.omp_set_num_threads(1)  # for calls from this thread only
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def saved_state(path: Path) -> IndexState | None:
    """The state of the index saved at ``path``, by its record; None if there is none."""
    try:
        return _read_record(path)[0] if path.is_file() else None
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
    """An index that takes ids: an inverted file stores them, other kinds get an id table."""
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
        # It takes most of the training, for a kind of search that is not used here.
        ivf.do_polysemous_training = False  # type: ignore[attr-defined]
    if ivf is not None:
        ivf.cp.niter = _ROUNDS
    return index


def _is(index: faiss.Index, kind: type) -> bool:
    return isinstance(faiss.downcast_index(index), kind)


def _non_silent(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``vectors [n, dim]`` are not zero, bool [n], and those, ready for FAISS."""
    non_silent = np.asarray(vectors.any(axis=1))
    return non_silent, np.ascontiguousarray(vectors[non_silent], np.float32)


def _without_silence(rows: np.ndarray, vectors: np.ndarray) -> Portion:
    """Rows and vectors without the silent ones."""
    non_silent, vectors = _non_silent(vectors)
    return np.asarray(rows[non_silent], np.int64), vectors


def _record(path: Path) -> Path:
    return path.with_suffix(".json")


def _read_record(path: Path) -> tuple[IndexState, Tuning | None, dict[str, Any]]:
    """State and tuning of a saved index, and the checksums of its file."""
    record = json.loads(_record(path).read_text(encoding="utf-8"))
    known = {name: record.pop(name) for name in ("crc32", "lists") if name in record}
    tuned = record.pop("tuning", None)
    return IndexState(**record), Tuning(**tuned) if tuned else None, known
