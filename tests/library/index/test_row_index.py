"""The FAISS index: choice by size, agreement with brute force, saving, damage, removal."""

import json

import faiss
import numpy as np
import pytest

from grafprint.library.index import row_index
from grafprint.library.index.row_index import IndexState, RowIndex, hyperplane_buckets
from tests.libraries import DIM, unit, walk

ROWS = 20_000


def state(factory, rows=ROWS):
    return IndexState("library", 0, rows, 0, factory)


def built(factory, vectors, rows=None):
    made = RowIndex.train(DIM, state(factory), vectors[:: len(vectors) // 2500 + 1])
    made.add(np.arange(len(vectors)) if rows is None else rows, vectors)
    return made


@pytest.fixture(scope="module")
def vectors():
    """Twenty thousand fingerprints of 100 recordings, in which neighbours are alike."""
    rng = np.random.default_rng(0)
    return np.concatenate([walk(rng, ROWS // 100) for _ in range(100)])


@pytest.fixture(scope="module")
def queries(vectors):
    """Random row numbers, and the vectors of these rows with noise (cosine about 0.9)."""
    rng = np.random.default_rng(1)
    rows = rng.choice(ROWS, 200, replace=False)
    return rows, unit(vectors[rows] + 0.04 * rng.standard_normal((200, DIM)))


@pytest.fixture(scope="module")
def codes(vectors):
    """All vectors as codes of 8 bytes in inverted lists."""
    return built("IVF64,PQ8", vectors)


@pytest.mark.parametrize(
    ("n", "factory"),
    [
        (0, "Flat"),
        (99_999, "Flat"),
        (100_000, "OPQ32,IVF256,PQ32x4fs"),
        (200_000, "OPQ32,IVF512,PQ32x4fs"),
        (499_999, "OPQ32,IVF512,PQ32x4fs"),
        (500_000, "OPQ32,IVF1024,PQ32x4fs"),
        (1_000_000, "OPQ32,IVF1024,PQ32x4fs"),
        (4_000_000, "OPQ32,IVF2048,PQ32x4fs"),
        (16_000_000, "OPQ32,IVF4096,PQ32x4fs"),
        (100_000_000, "OPQ32,IVF8192,PQ32x4fs"),
    ],
)
def test_the_kind_of_index_follows_the_size(n, factory):
    assert row_index.choose_factory(n) == factory


@pytest.mark.parametrize("factory", ["Flat", "IDMap,Flat", "IVF16,Flat"])
def test_exact_kinds_equal_brute_force(vectors, queries, factory):
    scores, rows = built(factory, vectors).search(queries[1], 20, nprobe=16)
    products = queries[1] @ vectors.T
    wanted = -np.sort(-products, axis=1)[:, :20]
    np.testing.assert_allclose(scores, wanted, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(products, rows, axis=1), scores, atol=1e-5)


def test_ivf_pq_finds_what_an_exact_search_finds(vectors, queries, codes):
    """Codes of 8 bytes are coarse, but among 20 neighbours one is near the right row."""
    rows, noisy = queries
    found = codes.search(noisy, 20, nprobe=20)[1]
    exact = built("Flat", vectors).search(noisy, 20)[1]
    assert (exact[:, 0] == rows).mean() > 0.99
    near = (np.abs(found - rows[:, None]) <= 10).any(axis=1)
    assert near.mean() > 0.97


def test_more_probes_find_more(vectors, queries):
    rows, noisy = queries
    made = built("IVF256,SQ8", vectors)
    hits = [(made.search(noisy, 1, nprobe)[1][:, 0] == rows).mean() for nprobe in (1, 64)]
    assert hits[0] < hits[1]
    assert hits[1] > 0.97


def test_only_large_searches_are_shared_by_threads(vectors, queries, codes, monkeypatch):
    """Clips are searched for on one thread; the number of threads is as before afterwards."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    used: list[int] = []
    asked = np.resize(queries[1], (1200, DIM))
    exact = built("Flat", vectors)
    try:
        for index, own in ((exact, exact._index), (codes, codes._index)):

            def spied(*asked, search=own.search):
                used.append(faiss.omp_get_max_threads())
                return search(*asked)

            monkeypatch.setattr(own, "search", spied)
            few, many = index.search(asked[:43], 5, 64), index.search(asked, 5, 64)
            np.testing.assert_array_equal(few[1], many[1][:43])
        assert used == [1, 3, 1, 3]
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_training_is_repeatable(vectors, queries):
    first, second = (built("IVF64,SQ8", vectors).search(queries[1], 5) for _ in range(2))
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("factory", ["Flat", "IVF16,SQ8", "HNSW16"])
def test_silence_is_never_found(vectors, factory):
    some = vectors[:2000].copy()
    some[::2] = 0
    found = built(factory, some).search(-vectors[:50], 1500)[1]
    assert (found[found >= 0] % 2 == 1).all()
    only_silence = built(factory, np.zeros((300, DIM), np.float32)).search(vectors[:3], 4)
    assert (only_silence[1] == -1).all()
    assert (only_silence[0] == -np.inf).all()


def test_results_are_padded_to_k(vectors):
    scores, rows = built("Flat", vectors[:3], np.array([5, 70, 900])).search(vectors[:1], 5)
    assert rows[0, 0] == 5
    assert set(rows[0, 1:3]) == {70, 900}
    assert (rows[0, 3:] == -1).all()
    assert (scores[0, 3:] == -np.inf).all()


@pytest.mark.parametrize("factory", ["Flat", "IVF16,SQ8", "PCA64,IVF16,SQ8"])
def test_removed_rows_are_never_found(vectors, factory):
    some = vectors[:3000]
    made = built(factory, some)
    dead = np.zeros(3000, bool)
    dead[500:1700] = True
    assert made.remove(dead)
    assert len(made) == 1800
    found = made.search(some[500:600], 50, nprobe=16)[1]
    assert not dead[found[found >= 0]].any()
    assert (found[:, 0] >= 0).all()


def test_a_kind_that_cannot_remove_says_so(vectors):
    made = built("HNSW16", vectors[:100])
    assert not made.remove(np.ones(100, bool))
    assert len(made) == 100


def test_an_index_with_too_few_vectors_to_train_on_is_exact(vectors):
    made = built("IVF16,PQ8", vectors[:30])
    assert made.exact
    assert (made.search(vectors[:30], 1)[1][:, 0] == np.arange(30)).all()
    assert not built("IVF16,PQ8", vectors[:300]).exact


@pytest.mark.parametrize("factory", ["Flut", "IVF,PQ8", "PQ7", ""])
def test_a_wrong_factory_string_is_refused(factory):
    with pytest.raises(ValueError, match="not an index that FAISS can make"):
        row_index.check_factory(factory, DIM)


def test_saving_and_loading(tmp_path, codes, queries):
    path, made = tmp_path / "index.faiss", codes
    made.save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.faiss", "index.json"]
    assert row_index.saved_state(path) == made.state
    read = RowIndex.load(path)
    assert read is not None
    assert read.state == made.state
    for saved, loaded in zip(made.search(queries[1], 5), read.search(queries[1], 5), strict=True):
        np.testing.assert_array_equal(saved, loaded)
    row_index.delete(path)
    assert not list(tmp_path.iterdir())
    assert row_index.saved_state(path) is None
    assert RowIndex.load(path) is None


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "record", "list", "no record", "no file"])
def test_a_damaged_file_is_not_used(tmp_path, vectors, harm):
    path, record = tmp_path / "index.faiss", tmp_path / "index.json"
    built("IVF16,SQ8", vectors[:2000]).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    match harm:
        case "flip":
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[:-1])
        case "empty":
            path.write_bytes(b"")
        case "record":
            record.write_text(json.dumps({"crc32": 1, "unknown": 2}))
        case "list":
            record.write_text("[1]")
        case "no record":
            record.unlink()
        case "no file":
            path.unlink()
    assert RowIndex.load(path) is None


def test_random_hyperplanes_make_buckets_of_signs(vectors):
    buckets = hyperplane_buckets(vectors.shape[1], 6)
    assert buckets.shape == (64, vectors.shape[1])
    np.testing.assert_allclose(np.linalg.norm(buckets, axis=1), 1, atol=1e-6)
    planes = np.linalg.qr(np.random.default_rng(0).standard_normal((vectors.shape[1], 6)))[0]
    code = ((vectors @ planes < 0) << np.arange(6)).sum(axis=1)
    np.testing.assert_array_equal((vectors @ buckets.T).argmax(axis=1), code)
    with pytest.raises(ValueError, match="not 0"):
        hyperplane_buckets(128, 0)


def test_given_buckets_replace_k_means(vectors, queries):
    asked, dim = queries[1], vectors.shape[1]
    made = RowIndex.train(dim, state("IVF64,Flat"), vectors[:100], hyperplane_buckets(dim, 6))
    made.add(np.arange(len(vectors)), vectors)
    # All lists: exact. One list: only rows with the signs of the query.
    _, rows = made.search(asked, 1, nprobe=64)
    np.testing.assert_array_equal(rows[:, 0], (asked @ vectors.T).argmax(axis=1))
    _, rows = made.search(asked, 5, nprobe=1)
    centres = hyperplane_buckets(dim, 6)
    for query, found in zip(asked, rows, strict=True):
        bucket = (centres @ query).argmax()
        assert ((vectors[found[found >= 0]] @ centres.T).argmax(axis=1) == bucket).all()
