"""The rotation before product quantisation: orthonormal, balanced, and better than FAISS's own."""

from typing import Any

import faiss
import numpy as np
import pytest

from grafprint.library.index import opq
from grafprint.library.index.row_index import IndexState, RowIndex
from tests.libraries import DIM, unit


@pytest.fixture(scope="module")
def vectors():
    """Fingerprints whose variances fall like those of a trained network, in random directions."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    return unit(rng.standard_normal((20_000, DIM)) * 0.95 ** np.arange(DIM) @ turn)


def error(matrix, vectors, parts, bits):
    """Mean squared error of codes trained after a rotation, on vectors they were not trained on."""
    turned = np.ascontiguousarray(vectors @ matrix.T)
    codes: Any = faiss.ProductQuantizer(matrix.shape[0], parts, bits)
    codes.train(turned[::2])
    decoded = codes.decode(codes.compute_codes(turned[1::2]))
    return ((turned[1::2] - decoded) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize(("parts", "bits"), [(32, 4), (16, 4), (8, 6)])
def test_codes_lose_less_than_with_the_rotation_of_faiss(vectors, parts, bits):
    own = faiss.OPQMatrix(DIM, parts)
    own.pq = faiss.ProductQuantizer(DIM, parts, bits)
    own.train(vectors[:5000])
    theirs = faiss.vector_to_array(own.A).reshape(DIM, DIM)
    found = opq.balanced_rotation(vectors[:5000], parts, DIM, bits)
    assert error(found, vectors, parts, bits) < error(theirs, vectors, parts, bits)
    assert error(found, vectors, parts, bits) < 0.9 * error(np.eye(DIM), vectors, parts, bits)


@pytest.mark.parametrize("kept", [DIM, 64])
def test_the_rotation_is_orthonormal_and_balanced(vectors, kept):
    matrix = opq.balanced_rotation(vectors, 16, kept, 8)
    assert matrix.shape == (kept, DIM)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(kept), atol=1e-5)
    variances = (vectors @ matrix.T).var(axis=0)
    levels = np.geomspace(1e-9, 1, 2000)[:, None]  # of the error in each component
    bits = 0.5 * np.log2(np.maximum(variances / levels, 1))
    of_parts = bits[np.abs(bits.sum(axis=1) - 16 * 8).argmin()].reshape(16, -1).sum(axis=1)
    assert np.abs(of_parts - 8).max() < 0.5


@pytest.mark.parametrize(
    "sample",
    [
        np.ones((50, DIM), np.float32),
        np.zeros((50, DIM), np.float32),
        np.eye(DIM, dtype=np.float32)[:2],
    ],
    ids=["all the same", "all zero", "two"],
)
def test_samples_without_variance_give_a_rotation(sample):
    matrix = opq.balanced_rotation(sample, 32, DIM, 4)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(DIM), atol=1e-5)


@pytest.mark.parametrize("factory", ["OPQ32,IVF16,PQ32x4fs", "OPQ16_64,IVF16,PQ16x4", "OPQ8,PQ8x4"])
def test_an_index_is_trained_with_this_rotation(vectors, factory):
    made = RowIndex.train(DIM, IndexState("library", 0, 0, 0, factory), vectors[:3000])
    index: Any = made._index
    if isinstance(index, faiss.IndexIDMap):
        index = faiss.downcast_index(index.index)
    used: Any = faiss.downcast_VectorTransform(index.chain.at(0))
    matrix = faiss.vector_to_array(used.A).reshape(used.d_out, DIM)
    wanted = opq.balanced_rotation(vectors[:3000], used.M, used.d_out, 4)
    np.testing.assert_array_equal(matrix, wanted)
    made.add(np.arange(3000), vectors[:3000])
    found = made.search(vectors[:100], 10, nprobe=16)[1]
    assert (found == np.arange(100)[:, None]).any(axis=1).mean() > 0.9


def test_other_transforms_are_trained_by_faiss(vectors):
    for factory in ("OPQ8_256,PQ8x4", "PCA64,IVF16,SQ8"):
        made = RowIndex.train(DIM, IndexState("library", 0, 0, 0, factory), vectors[:3000])
        made.add(np.arange(3000), vectors[:3000])
        found = made.search(vectors[:50], 20, nprobe=16)[1]
        assert (found == np.arange(50)[:, None]).any(axis=1).mean() > 0.8
