"""FAISS on GPUs; without any, a copy in memory stands in for the copy on the GPUs."""

import faiss
import numpy as np
import pytest

from grafprint.library.index import gpu
from grafprint.library.index.row_index import IndexState, RowIndex, coded
from tests.libraries import DIM, walk

LISTS = 16


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[faiss.Index]:
    """The indexes copied to the GPUs, which are real ones if FAISS has any."""
    copied: list[faiss.Index] = []
    real = faiss.index_cpu_to_all_gpus if faiss.get_num_gpus() else faiss.clone_index

    def copy(index: faiss.Index) -> faiss.Index:
        copied.append(real(index))
        return copied[-1]

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", copy, raising=False)
    return copied


def build(factory: str, vectors: np.ndarray) -> RowIndex:
    index = RowIndex.train(DIM, IndexState("a", 0, len(vectors), 0, factory), vectors)
    with index.filling():
        for begin in range(0, len(vectors), 1000):
            rows = np.arange(begin, begin + 1000)
            index.add(rows, vectors[rows])
    return index


@pytest.mark.parametrize("factory", [coded(LISTS), f"IVF{LISTS},SQ8"])
def test_an_index_made_with_gpus_is_the_same(monkeypatch, cards, factory, tmp_path):
    vectors = walk(np.random.default_rng(0), 4000)
    with monkeypatch.context() as without:
        without.setattr(faiss, "get_num_gpus", lambda: 0)
        expected = build(factory, vectors)
    assert not cards
    index = build(factory, vectors)
    # Once while the centroids are trained, once while vectors are added.
    assert [card.ntotal for card in cards] == [LISTS, LISTS]
    for found, wanted in zip(index.search(vectors, 5), expected.search(vectors, 5), strict=True):
        np.testing.assert_array_equal(found, wanted)
    index.save(tmp_path / "index")  # without anything of the GPUs
    del index, cards[:]
    loaded = RowIndex.load(tmp_path / "index")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.search(vectors, 5)[1], expected.search(vectors, 5)[1])


def test_an_index_without_lists_does_not_use_gpus(cards):
    vectors = walk(np.random.default_rng(0), 1000)
    assert len(build("Flat", vectors)) == 1000
    assert len(build("IVF8_HNSW32,Flat", vectors)) == 1000
    with gpu.use_gpus(None):
        pass
    assert not cards
