"""Vectors laid out on a plane by UMAP, like beside like; FAISS finds who is like whom."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np

# What is done so far, 0 to 1, and in words what is being done. It may raise to end the work.
OnProgress = Callable[[float, str], None]

NEIGHBOURS = 15  # UMAP's own default
_MIN_DIST = 0.1
_EPOCHS = 200
_SEED = 20250406
_BLOCK = 2048  # vectors looked up between two reports
# Shares of the time at which a stage is done, as measured with 25,000 and 50,000 vectors.
_FOUND, _LOADED, _WEIGHED, _BEGUN = 0.2, 0.3, 0.5, 0.6

# Numba's threads on some systems end the program when two ask for them at once.
_one_at_a_time = threading.Lock()


def lay_out(vectors: np.ndarray, progress: OnProgress) -> np.ndarray:
    """Places ``[n, 2]`` (float32) of unit ``vectors [n, dim]``, by UMAP with inner products.

    The larger extent is 0 to 1, the smaller one as much of it as UMAP makes it. The same vectors
    have the same places on one machine with as many threads; another one, or another number, may
    round differently, which UMAP enlarges.
    ``progress`` is called several times a second except while the layout begins (some
    seconds), and may raise to end the work.

    Raises ValueError for no more than :data:`NEIGHBOURS` vectors.
    """
    if len(vectors) <= NEIGHBOURS:
        raise ValueError(f"a layout needs more than {NEIGHBOURS} vectors, not {len(vectors)}")
    vectors = np.ascontiguousarray(vectors, np.float32)
    nearest, distances = _neighbours(vectors, lambda s: progress(_FOUND * s, "Finding neighbours"))
    with _one_at_a_time:
        progress(_FOUND, "Loading UMAP")
        places = _umap(vectors, nearest, distances, progress)
    places -= places.min(axis=0)
    return places / places.max()


def _neighbours(
    vectors: np.ndarray, progress: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest vectors of each, itself first: int64 and float32 ``[n, NEIGHBOURS]``."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    nearest = np.empty((len(vectors), NEIGHBOURS), np.int64)
    likeness = np.empty((len(vectors), NEIGHBOURS), np.float32)
    for begin in range(0, len(vectors), _BLOCK):
        progress(begin / len(vectors))
        end = begin + _BLOCK
        likeness[begin:end], nearest[begin:end] = index.search(vectors[begin:end], NEIGHBOURS)
    return nearest, np.maximum(0, 1 - likeness)


def _umap(
    vectors: np.ndarray, nearest: np.ndarray, distances: np.ndarray, progress: OnProgress
) -> np.ndarray:
    """UMAP's steps one by one, because between them and its epochs one can tell and stop."""
    _find_cache()
    # Here, because it takes five seconds, and a minute when Numba has compiled nothing yet.
    from umap import layouts
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    random = np.random.RandomState(_SEED)  # UMAP takes no other
    progress(_LOADED, "Weighing neighbours")
    graph, _, _ = fuzzy_simplicial_set(
        vectors, NEIGHBOURS, random, "cosine", knn_indices=nearest, knn_dists=distances
    )
    progress(_WEIGHED, "Beginning the layout")
    a, b = find_ab_params(1.0, _MIN_DIST)
    shown, layouts.tqdm = layouts.tqdm, _epochs(progress)
    try:
        places, _ = simplicial_set_embedding(
            vectors, graph, 2, 1.0, a, b, 1.0, 5, _EPOCHS, "spectral", random, "cosine", {},
            False, {}, False,
        )  # fmt: skip
    finally:
        layouts.tqdm = shown
    return np.asarray(places, np.float32)


def _epochs(progress: OnProgress) -> Callable[..., Iterator[int]]:
    """What stands in for UMAP's progress bar: nothing else hears of its epochs.

    The bar cannot be given an output that raises: it would keep its lock, and the next bar in
    another thread would wait for that forever.
    """

    def bar(epochs: range, **options: object) -> Iterator[int]:
        for epoch in epochs:
            progress(_BEGUN + (1 - _BEGUN) * epoch / len(epochs), "Laying out")
            yield epoch
        progress(1.0, "Laying out")

    return bar


def _find_cache() -> None:
    """See to it that Numba can store what it compiles; where it cannot, UMAP does not load.

    It uses a folder beside UMAP's source or one of the user. Where both are read-only it gets a
    new temporary one: not one of a fixed name, in which others could put code to be run.
    """
    spec = importlib.util.find_spec("umap")
    source = Path(spec.origin).parent if spec and spec.origin else Path()
    user = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if "NUMBA_CACHE_DIR" not in os.environ and not _writable(source) and not _writable(user):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
