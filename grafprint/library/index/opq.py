"""The rotation before product quantisation, in closed form instead of by FAISS's rounds.

Of optimised product quantisation (OPQ; Ge et al., "Optimized Product Quantization", TPAMI 2014)
this is the parametric solution: the principal components are dealt out so that each part of the
codes has components whose variances have the same product. FAISS begins with a random rotation and
improves it in fifty rounds, which takes longer and ends at a larger error (docs/performance.md).
"""

from __future__ import annotations

from typing import Any, cast

import faiss
import numpy as np

_BITS = 8  # of a part, where the codes are of another kind


def balanced(sample: np.ndarray, parts: int, kept: int, bits: int) -> np.ndarray:
    """The rotation ``[kept, dim]`` for codes of ``parts`` times ``bits``, from ``sample [n, dim]``.

    A component counts by its variance over the error that the codes will have in it. That error is
    the same in all components, and those with less variance have no part in the codes (reverse
    water-filling, for which vectors are taken to be Gaussian).
    """
    mean = sample.mean(axis=0, dtype=np.float64)
    spread = (sample.T @ sample).astype(np.float64) / len(sample) - np.outer(mean, mean)
    variances, axes = np.linalg.eigh(spread)
    variances, axes = variances[::-1], axes[:, ::-1]  # largest first
    weights = np.log(np.maximum(variances / _error(variances, parts * bits), 1))[:kept]
    dealt: list[list[int]] = [[] for _ in range(parts)]
    sums = np.zeros(parts)
    for component, weight in enumerate(weights):
        room = [part for part in range(parts) if len(dealt[part]) < kept // parts]
        part = min(room, key=lambda part: (sums[part], len(dealt[part])))
        dealt[part].append(component)
        sums[part] += weight
    return np.ascontiguousarray(axes[:, np.concatenate(dealt)].T, np.float32)


def _error(variances: np.ndarray, bits: int) -> float:
    """The error in each component, its variance at most, that so many bits leave of Gaussians."""
    logs = np.log2(np.maximum(variances, np.finfo(np.float64).tiny))
    for used in range(len(logs), 0, -1):  # components that get bits, the largest
        level = (logs[:used].sum() - 2 * bits) / used
        if level < logs[used - 1]:
            break
    return float(2**level)


def train(index: faiss.Index, sample: np.ndarray) -> None:
    """Find the rotation that an index begins with, if it does, from ``sample [n, dim]``."""
    if isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    if not isinstance(index, faiss.IndexPreTransform) or len(sample) < 2:
        return
    rotation = faiss.downcast_VectorTransform(cast(Any, index.chain).at(0))
    if isinstance(rotation, faiss.OPQMatrix) and rotation.d_out <= rotation.d_in:
        codes: Any = getattr(faiss.downcast_index(index.index), "pq", None)
        bits = codes.nbits if codes else _BITS
        matrix = balanced(sample, rotation.M, rotation.d_out, bits)
        faiss.copy_array_to_vector(matrix.ravel(), rotation.A)
        rotation.is_orthonormal = rotation.is_trained = True
