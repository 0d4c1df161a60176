"""Lay out vectors on a plane by UMAP, with nearest neighbours from FAISS."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import numpy as np

# Called with the share done, 0 to 1, and the current stage in words. It may raise to stop.
OnProgress = Callable[[float, str], None]

NEIGHBOURS = 15  # UMAP's own default
_MIN_DIST = 0.1
_EPOCHS = 200
_SEED = 20250406
_BLOCK = 2048  # vectors searched for between two calls of progress
# Share of the time after each stage, as measured with 25,000 and 50,000 vectors.
_FOUND, _LOADED, _WEIGHED, _STARTED = 0.2, 0.3, 0.5, 0.6

# On some systems the program ends when two threads start Numba's parallel code at once.
_one_at_a_time = threading.Lock()


def lay_out(vectors: np.ndarray, progress: OnProgress) -> np.ndarray:
    """Places ``[n, 2]`` (float32) of unit ``vectors [n, dim]``, by UMAP with inner products.

    The larger extent is 0 to 1; the aspect ratio is UMAP's. The result is repeatable on one machine
    with the same number of threads; elsewhere rounding may differ, which UMAP amplifies.
    ``progress`` is called several times a second except while the layout starts (some seconds), and
    may raise to stop.

    Raises ValueError unless there are more than :data:`NEIGHBOURS` vectors.
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
    similarity = np.empty((len(vectors), NEIGHBOURS), np.float32)
    for begin in range(0, len(vectors), _BLOCK):
        progress(begin / len(vectors))
        end = begin + _BLOCK
        similarity[begin:end], nearest[begin:end] = index.search(vectors[begin:end], NEIGHBOURS)
    return nearest, np.maximum(0, 1 - similarity)


def _umap(
    vectors: np.ndarray, nearest: np.ndarray, distances: np.ndarray, progress: OnProgress
) -> np.ndarray:
    """Run UMAP step by step, to report progress and allow stopping between steps and epochs."""
    _find_cache()
    # Imported here because it takes five seconds, and a minute before Numba's cache is filled.
    from umap import layouts
    from umap.umap_ import find_ab_params, fuzzy_simplicial_set, simplicial_set_embedding

    random = np.random.RandomState(_SEED)  # UMAP accepts no newer generator
    progress(_LOADED, "Weighing neighbours")
    graph, _, _ = fuzzy_simplicial_set(
        vectors, NEIGHBOURS, random, "cosine", knn_indices=nearest, knn_dists=distances
    )
    progress(_WEIGHED, "Starting the layout")
    a, b = find_ab_params(1.0, _MIN_DIST)
    original, layouts.tqdm = layouts.tqdm, _epochs(progress)
    try:
        places, _ = simplicial_set_embedding(
            vectors,
            graph,
            n_components=2,
            initial_alpha=1.0,
            a=a,
            b=b,
            gamma=1.0,
            negative_sample_rate=5,
            n_epochs=_EPOCHS,
            init="spectral",
            random_state=random,
            metric="cosine",
            metric_kwds={},
            densmap=False,
            densmap_kwds={},
            output_dens=False,
        )
    finally:
        layouts.tqdm = original
    return np.asarray(places, np.float32)


def _epochs(progress: OnProgress) -> Callable[..., Iterator[int]]:
    """A replacement for UMAP's progress bar, which is the only hook into its epochs.

    The bar itself cannot write to an output that raises: it would keep its lock, and the next bar
    in another thread would wait for that forever.
    """

    def bar(epochs: range, **options: object) -> Iterator[int]:
        for epoch in epochs:
            progress(_STARTED + (1 - _STARTED) * epoch / len(epochs), "Laying out")
            yield epoch
        progress(1.0, "Laying out")

    return bar


def _find_cache() -> None:
    """Make sure that Numba has a writable cache folder, without which UMAP does not load.

    Numba uses a folder beside UMAP's source, or one in the user's cache. If both are read-only it
    gets a new temporary one, not one with a fixed name, where others could place code to be run.
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
