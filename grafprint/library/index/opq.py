"""The rotation before product quantisation, in closed form instead of by FAISS's iterations.

This is the parametric solution of optimised product quantisation (OPQ; Ge et al., "Optimized
Product Quantization", TPAMI 2014): the principal components are distributed over the sub-vectors so
that the variances in each have the same product. FAISS starts with a random rotation and improves
it in fifty iterations, which takes longer and ends at a larger error (docs/performance.md).
"""

from __future__ import annotations

from typing import Any, cast

import faiss
import numpy as np

_BITS = 8  # for each sub-vector, if the codes are not product quantised


def balanced_rotation(sample: np.ndarray, parts: int, kept: int, bits: int) -> np.ndarray:
    """The rotation ``[kept, dim]`` for codes of ``parts`` times ``bits``, from ``sample [n, dim]``.

    A component's weight is the logarithm of its variance over the error that the codes will have in
    it. By reverse water-filling, which assumes Gaussian vectors, that error is the same in all
    components; those with less variance get no bits.
    """
    mean = sample.mean(axis=0, dtype=np.float64)
    covariance = (sample.T @ sample).astype(np.float64) / len(sample) - np.outer(mean, mean)
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[::-1], axes[:, ::-1]  # largest first
    weights = np.log(np.maximum(variances / _error(variances, parts * bits), 1))[:kept]
    assigned: list[list[int]] = [[] for _ in range(parts)]
    sums = np.zeros(parts)
    for component, weight in enumerate(weights):
        not_full = [part for part in range(parts) if len(assigned[part]) < kept // parts]
        part = min(not_full, key=lambda part: (sums[part], len(assigned[part])))
        assigned[part].append(component)
        sums[part] += weight
    return np.ascontiguousarray(axes[:, np.concatenate(assigned)].T, np.float32)


def _error(variances: np.ndarray, bits: int) -> float:
    """The error per component of Gaussians coded in ``bits`` bits, by reverse water-filling."""
    logs = np.log2(np.maximum(variances, np.finfo(np.float64).tiny))
    for used in range(len(logs), 0, -1):  # how many components, the largest, get bits
        level = (logs[:used].sum() - 2 * bits) / used
        if level < logs[used - 1]:
            break
    return float(2**level)


def train(index: faiss.Index, sample: np.ndarray) -> None:
    """Set the rotation of an index that begins with one, from ``sample [n, dim]``."""
    if isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    if not isinstance(index, faiss.IndexPreTransform) or len(sample) < 2:
        return
    rotation = faiss.downcast_VectorTransform(cast(Any, index.chain).at(0))
    if isinstance(rotation, faiss.OPQMatrix) and rotation.d_out <= rotation.d_in:
        codes: Any = getattr(faiss.downcast_index(index.index), "pq", None)
        bits = codes.nbits if codes else _BITS
        matrix = balanced_rotation(sample, rotation.M, rotation.d_out, bits)
        faiss.copy_array_to_vector(matrix.ravel(), rotation.A)
        rotation.is_orthonormal = rotation.is_trained = True
