"""GPUs for FAISS, if it was built for them (faiss-gpu instead of faiss-cpu)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def use_gpus(ivf: faiss.IndexIVF | None) -> Iterator[None]:
    """Let GPUs find the centroids of the inverted lists, or compare vectors with them.

    That is most of the work of training such an index and of adding to it. On exit the index is on
    the CPU again, and the same but for rounding. Does nothing without a GPU, without an inverted
    file (None), or if the centroids are not in a flat index.
    """
    if ivf is None or not faiss.get_num_gpus() or not _flat(ivf.quantizer):
        yield
    elif ivf.is_trained:
        on_cpu = ivf.quantizer
        on_gpus = faiss.index_cpu_to_all_gpus(on_cpu)
        ivf.quantizer = on_gpus
        try:
            yield
        finally:
            ivf.quantizer = on_cpu
    else:
        on_gpus = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(ivf.d))
        ivf.clustering_index = on_gpus
        try:
            yield
        finally:
            ivf.clustering_index = None  # type: ignore[assignment]


def _flat(quantizer: faiss.Index) -> bool:
    return isinstance(faiss.downcast_index(quantizer), faiss.IndexFlat)
