"""Graphics cards for FAISS, where it was built for them: faiss-gpu in the place of faiss-cpu."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def comparing(ivf: faiss.IndexIVF | None) -> Iterator[None]:
    """Within, GPUs compare vectors with the centroids of the inverted lists, or find these.

    That is most of the work of training such an index and of adding to it. Afterwards the index is
    the processor's as before; it is the same but for rounding. Without a GPU, without an inverted
    file (None), or with centroids in something else than a flat index nothing changes.
    """
    if ivf is None or not faiss.get_num_gpus() or not _flat(ivf.quantizer):
        yield
    elif ivf.is_trained:
        own = ivf.quantizer
        copied = faiss.index_cpu_to_all_gpus(own)
        ivf.quantizer = copied
        try:
            yield
        finally:
            ivf.quantizer = own
    else:
        compared = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(ivf.d))
        ivf.clustering_index = compared
        try:
            yield
        finally:
            ivf.clustering_index = None  # type: ignore[assignment]


def _flat(quantizer: faiss.Index) -> bool:
    return isinstance(faiss.downcast_index(quantizer), faiss.IndexFlat)
