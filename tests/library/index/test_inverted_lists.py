"""Inverted lists in a file equal those that FAISS builds in memory, however they were written."""

import json

import faiss
import numpy as np
import pytest

from grafprint.library.index import index_file, inverted_lists, row_index
from grafprint.library.index.row_index import IndexState, RowIndex
from tests.libraries import DIM, unit, walk

ROWS = 6000
KINDS = [
    "OPQ16,IVF32,PQ16x4fs", "IVF32,PQ32x4fs", "PCA126,IVF32,PQ9x4fs",
    "IVF32,PQ8", "PCA64,IVF32,SQ8", "IVF32,Flat",
]  # fmt: skip


def state(factory, rows=ROWS, removals=0):
    return IndexState("library", 0, rows, removals, factory)


_trained: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}


def empty(factory, vectors):
    """An empty index, trained once for all tests, because training takes most of their time."""
    if factory not in _trained:
        made = RowIndex.train(DIM, state(factory, 0), vectors[::2])
        _trained[factory] = faiss.serialize_index(made._index), made._structure
    content, structure = _trained[factory]
    return RowIndex(faiss.deserialize_index(content), structure, state(factory, 0))


def read(path):
    loaded = RowIndex.load(path)
    assert loaded is not None
    return loaded


def portions(vectors, first, end, size=700):
    for begin in range(first, end, size):
        rows = np.arange(begin, min(begin + size, end))
        yield rows, vectors[rows]


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    made = np.concatenate([walk(rng, 100) for _ in range(ROWS // 100)])
    made[1000:1010] = 0  # silence
    return made


@pytest.fixture(scope="module")
def queries(vectors):
    rng = np.random.default_rng(1)
    return unit(vectors[::50] + 0.04 * rng.standard_normal((ROWS // 50, DIM)))


def assert_finds_the_same(found, wanted, queries):
    assert len(found) == len(wanted)
    for nprobe in (4, 32):
        one, other = (made.search(queries, 10, nprobe) for made in (found, wanted))
        scores, rows = zip(one, other, strict=True)
        # Portions of other sizes are rounded differently, which may change a code by one step.
        assert np.isclose(*scores, rtol=1e-6).mean() > 0.99
        np.testing.assert_allclose(*scores, atol=2e-3)
        assert (rows[0] == rows[1]).mean() > 0.999  # except among equal scores


@pytest.fixture(params=[1 << 20, 1500], ids=["in memory", "in temporary files"])
def runs(request, monkeypatch):
    monkeypatch.setattr(inverted_lists, "_RUN", request.param)


@pytest.mark.parametrize("factory", KINDS)
@pytest.mark.usefixtures("runs")
def test_lists_in_a_file_are_those_in_memory(tmp_path, vectors, queries, factory):
    """Written at once, extended, with rows removed, read again, and changed in memory."""
    path, start = tmp_path / "index.faiss", empty(factory, vectors)
    assert start.in_file
    wanted = empty(factory, vectors)
    wanted.add(np.arange(4001), vectors[:4001])
    first = start.save(path, state(factory, 4001), portions(vectors, 0, 4001))
    assert first.state == row_index.saved_state(path) == state(factory, 4001)
    assert_finds_the_same(first, wanted, queries)

    removed = np.zeros(ROWS, bool)
    removed[500:1700] = True
    then, alive = state(factory, ROWS, 1), lambda rows: ~removed[rows]
    for loaded in (first, read(path)):
        second = loaded.save(path, then, portions(vectors, 4001, ROWS), alive)
    wanted = empty(factory, vectors)
    wanted.add(np.flatnonzero(~removed), vectors[~removed])
    assert_finds_the_same(second, wanted, queries)
    assert_finds_the_same(read(path), wanted, queries)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.faiss", "index.json"]

    content = path.read_bytes()
    second.add(np.arange(500, 1700), vectors[500:1700])
    wanted.add(np.arange(500, 1700), vectors[500:1700])
    assert_finds_the_same(second, wanted, queries)
    assert second.remove(np.arange(ROWS) >= 3000)
    assert wanted.remove(np.arange(ROWS) >= 3000)
    assert_finds_the_same(second, wanted, queries)
    assert path.read_bytes() == content
    assert_finds_the_same(second.save(path), wanted, queries)


@pytest.mark.usefixtures("runs")
def test_the_file_does_not_depend_on_the_portions(tmp_path, vectors):
    factory = KINDS[0]
    for size in (300, 6000):
        (tmp_path / str(size)).mkdir()
        empty(factory, vectors).save(
            tmp_path / str(size) / "index.faiss", None, portions(vectors, 0, ROWS, size)
        )
    files = [path.read_bytes() for path in tmp_path.glob("*/index.faiss")]
    assert len(files) == 2 and files[0] == files[1]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(inverted_lists, "_RUN", 1500)
    path, factory = tmp_path / "index.faiss", KINDS[0]
    made = empty(factory, vectors).save(path, None, portions(vectors, 0, 3000))
    content = path.read_bytes(), (tmp_path / "index.json").read_bytes()

    def failing():
        yield from portions(vectors, 3000, 5000)
        raise RuntimeError("the fingerprints cannot be read")

    with pytest.raises(RuntimeError, match="cannot be read"):
        made.save(path, state(factory), failing())
    assert (path.read_bytes(), (tmp_path / "index.json").read_bytes()) == content
    assert len(list(tmp_path.iterdir())) == 2
    assert len(read(path)) == 2990


@pytest.mark.parametrize("harm", ["head", "lists", "cut", "longer"])
def test_head_and_size_of_large_lists_are_checked(tmp_path, vectors, monkeypatch, harm):
    path, factory = tmp_path / "index.faiss", KINDS[0]
    empty(factory, vectors).save(path, None, portions(vectors, 0, ROWS))
    begin = index_file.Lists(**json.loads((tmp_path / "index.json").read_text())["lists"]).begin
    content = bytearray(path.read_bytes())
    if harm in ("head", "lists"):
        content[begin // 2 if harm == "head" else begin + 5] ^= 1
    path.write_bytes({"cut": content[:-1], "longer": content + b"\0"}.get(harm, bytes(content)))
    assert RowIndex.load(path) is None
    monkeypatch.setattr(index_file, "CHECKED_BYTES", 0)
    assert (RowIndex.load(path) is None) == (harm != "lists")


@pytest.mark.parametrize("factory", ["HNSW16", "IVF16,RaBitQ"])
def test_other_kinds_are_written_whole(tmp_path, vectors, queries, factory):
    made = empty(factory, vectors)
    assert not made.in_file
    made.add(np.arange(ROWS), vectors)
    made.save(tmp_path / "index.faiss")
    assert_finds_the_same(read(tmp_path / "index.faiss"), made, queries)


def test_a_file_written_whole_is_read_for_every_kind(tmp_path, vectors, queries):
    """Older versions wrote all of them so."""
    made = empty(KINDS[0], vectors)
    made.add(np.arange(ROWS), vectors)
    made._structure = None
    made.save(tmp_path / "index.faiss")
    loaded = read(tmp_path / "index.faiss")
    assert not loaded.in_file
    assert_finds_the_same(loaded, made, queries)
