"""Inverted lists in a file: memory-mapped for searching, merged list by list for writing.

Neither loads all lists, so memory does not grow with the collection. New vectors are encoded in
portions, which are sorted by list and kept in temporary files (runs). A last pass then writes each
list from its old entries and its part of every run.

The file holds the lists one after the other in the format of FAISS's OnDiskInvertedLists: the codes
of ``capacity`` entries, in blocks for kinds that FAISS scans in blocks, then their ids (int64).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import faiss
import numpy as np

_RUN = 1 << 20  # entries sorted in memory (24 MB for the default kind)
# The capacity of a list is a multiple of this: a whole number of FAISS's blocks, and each list
# begins at a multiple of the 32 bytes that vector instructions load.
_ROUND = 32
_ID_BYTES = 8
# Other kinds (RaBitQ, additive codes) are written and read by FAISS as a whole.
_KINDS = ("IndexIVFFlat", "IndexIVFPQ", "IndexIVFScalarQuantizer", "IndexIVFPQFastScan")

Alive = Callable[[np.ndarray], np.ndarray]  # whether row numbers [n] belong to a track: bool [n]
Portion = tuple[np.ndarray, np.ndarray]  # row numbers [n] and their vectors [n, dim]


def ivf_of(index: faiss.Index) -> faiss.IndexIVF | None:
    """The inverted file inside an index, or None."""
    ivf = faiss.try_extract_index_ivf(index)
    return None if ivf is None else cast(faiss.IndexIVF, faiss.downcast_index(ivf))


def supported(ivf: faiss.IndexIVF | None) -> bool:
    """Whether this kind of index can have its lists in a file here."""
    if ivf is None or type(ivf).__name__ not in _KINDS:
        return False
    if not hasattr(faiss, "OnDiskInvertedLists"):  # Windows
        return False
    packer = ivf.get_CodePacker()
    return bool(_ROUND % packer.nvec == 0) and packer.block_size == packer.nvec * packer.code_size


def capacities(sizes: np.ndarray) -> np.ndarray:
    """Entries that lists of ``sizes`` have room for in a file."""
    return -(-sizes // _ROUND) * _ROUND


def file_bytes(ivf: faiss.IndexIVF, sizes: np.ndarray) -> int:
    """Bytes that lists of ``sizes`` take in a file."""
    return int(capacities(sizes).sum()) * (ivf.code_size + _ID_BYTES)


def attach(ivf: faiss.IndexIVF, path: Path, begin: int, sizes: np.ndarray) -> None:
    """Map the lists of ``sizes [nlist]`` from byte ``begin`` of a file into the index.

    They are read when a search needs them and cannot be changed. The file may be renamed or
    deleted meanwhile, but not changed.
    """
    lists = cast(Any, faiss.OnDiskInvertedLists())
    lists.nlist, lists.code_size = ivf.nlist, ivf.code_size
    lists.filename, lists.read_only = os.fspath(path), True
    lists.totsize = begin + file_bytes(ivf, sizes)
    lists.prefetch_nthread = 0  # starting its threads takes longer than a search
    offset = begin
    for size, capacity in zip(sizes.tolist(), capacities(sizes).tolist(), strict=True):
        one = faiss.OnDiskOneList()
        one.size, one.capacity, one.offset = size, capacity, offset
        lists.lists.push_back(one)
        offset += capacity * (ivf.code_size + _ID_BYTES)
    lists.do_mmap()
    lists.this.disown()  # the index deletes it
    ivf.replace_invlists(lists, True)
    ivf.ntotal = int(sizes.sum())


def mapped(ivf: faiss.IndexIVF | None) -> bool:
    """Whether the index has its lists in a file."""
    return ivf is not None and type(_lists(ivf)).__name__ == "OnDiskInvertedLists"


def load(ivf: faiss.IndexIVF, source: faiss.IndexIVF) -> None:
    """Copy the lists of ``source`` into the memory of an empty index of the same kind."""
    own = _lists(ivf)
    for number in range(ivf.nlist):
        blocks, ids = _entries(source, number)
        if not len(ids):
            continue
        own.resize(number, len(ids))
        target = faiss.rev_swig_ptr(own.get_codes(number), len(blocks))
        target[:] = blocks
        faiss.rev_swig_ptr(own.get_ids(number), len(ids))[:] = ids
    ivf.ntotal = source.ntotal


def merge(
    index: faiss.Index, additions: Iterable[Portion], alive: Alive | None, folder: Path
) -> tuple[np.ndarray, Callable[[Callable[[bytes], object]], None]]:
    """Merge ``additions`` into the lists of an index, without rows not ``alive`` (None: all are).

    Returns the size of each list, and a function that passes all lists in order to a function that
    writes bytes. Temporary files are in ``folder`` and have no names.
    """
    ivf = ivf_of(index)
    assert ivf is not None
    runs = list(_runs(index, ivf, additions, folder))
    sizes = np.zeros(ivf.nlist, np.int64)
    for number in range(ivf.nlist):
        ids = _ids(ivf, number)
        sizes[number] = len(ids) if alive is None else int(alive(ids).sum())
    for run in runs:
        sizes += np.diff(run.ends, prepend=0)

    def write(write_bytes: Callable[[bytes], object]) -> None:
        for number in range(ivf.nlist):
            codes, ids = _merge_list(ivf, number, runs, alive)
            write_bytes(codes)
            write_bytes(ids)

    return sizes, write


@dataclass(frozen=True, eq=False)
class _Run:
    """Entries in the order of their lists; those of list ``i`` end at ``ends[i]``."""

    codes: np.ndarray  # uint8 [n, code_size], not in blocks
    ids: np.ndarray  # int64 [n]
    ends: np.ndarray  # int64 [nlist]

    def of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Codes and ids of one list."""
        part = slice(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))
        return self.codes[part], self.ids[part]


def _runs(
    index: faiss.Index, ivf: faiss.IndexIVF, additions: Iterable[Portion], folder: Path
) -> Iterator[_Run]:
    """The encoded ``additions`` in runs of about ``_RUN`` entries."""
    waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for rows, vectors in additions:
        waiting.append((*_encode(index, ivf, vectors), rows))
        if sum(len(part[2]) for part in waiting) >= _RUN:
            yield _to_temporary_files(_sort(waiting, ivf.nlist), folder)
            waiting = []
    if waiting:  # the last run stays in memory
        yield _sort(waiting, ivf.nlist)


def _encode(
    index: faiss.Index, ivf: faiss.IndexIVF, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The list of each of ``vectors [n, dim]``, int64 [n], and its code, uint8 [n, code_size]."""
    transformed = np.ascontiguousarray(vectors, np.float32)
    if isinstance(index, faiss.IndexPreTransform):
        chain = cast(Any, index.chain)
        for place in range(chain.size()):
            transformed = faiss.downcast_VectorTransform(chain.at(place)).apply(transformed)
    lists = np.ascontiguousarray(ivf.quantizer.search(transformed, 1)[1][:, 0])
    codes = np.empty((len(transformed), ivf.code_size), np.uint8)
    x, numbers, out = (faiss.swig_ptr(array) for array in (transformed, lists, codes))
    ivf.encode_vectors(len(transformed), x, numbers, out, False)
    return lists, codes


def _sort(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], nlist: int) -> _Run:
    lists, codes, ids = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(lists, kind="stable")
    return _Run(codes[order], ids[order], np.cumsum(np.bincount(lists, minlength=nlist)))


def _to_temporary_files(run: _Run, folder: Path) -> _Run:
    """Move a run to temporary files, which vanish with it however the program ends."""

    def move(array: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            _write_all(file, array)
            return np.memmap(file, array.dtype, "r", shape=array.shape)

    return _Run(move(run.codes), move(run.ids), run.ends)


def _write_all(file: BinaryIO, array: np.ndarray) -> None:
    data = np.ascontiguousarray(array).data.cast("B")
    while data:
        data = data[file.write(data) :]


def _merge_list(
    ivf: faiss.IndexIVF, number: int, runs: list[_Run], alive: Alive | None
) -> tuple[bytes, bytes]:
    """Codes and ids of one list as they are in a file."""
    packer = ivf.get_CodePacker()
    blocks, ids = _entries(ivf, number)
    added = [run.of(number) for run in runs]
    kept = None if alive is None else alive(ids)
    if kept is not None and not kept.all():
        begin, codes, ids = 0, _unpack(packer, blocks, len(ids))[kept], ids[kept]
    else:  # full blocks are copied
        begin = len(ids) // packer.nvec
        rest = blocks[begin * packer.block_size :]
        codes = _unpack(packer, rest, len(ids) - begin * packer.nvec)
    codes = np.concatenate([codes, *(codes for codes, _ in added)])
    ids = np.concatenate([ids, *(ids for _, ids in added)])
    capacity = int(capacities(np.array(len(ids))))
    size = capacity - begin * packer.nvec
    padded = np.zeros((size, packer.code_size), np.uint8)
    padded[: len(codes)] = codes
    whole = blocks[: begin * packer.block_size].tobytes() + _pack(packer, padded).tobytes()
    padding = np.full(capacity - len(ids), -1, np.int64)
    return whole, np.concatenate([ids, padding]).astype("<i8").tobytes()


def _pack(packer: faiss.CodePacker, codes: np.ndarray) -> np.ndarray:
    """Pack ``codes [n, code_size]`` into blocks; ``n`` is a multiple of the block length."""
    if packer.nvec == 1:
        return codes.reshape(-1)
    blocks = np.zeros((len(codes) // packer.nvec, packer.block_size), np.uint8)
    for number, block in enumerate(blocks):
        part = codes[number * packer.nvec : (number + 1) * packer.nvec]
        packer.pack_all(faiss.swig_ptr(part), faiss.swig_ptr(block))
    return blocks.reshape(-1)


def _unpack(packer: faiss.CodePacker, blocks: np.ndarray, count: int) -> np.ndarray:
    """Unpack the first ``count`` codes from blocks: uint8 [count, code_size]."""
    if packer.nvec == 1:
        return blocks.reshape(-1, packer.code_size)[:count]
    codes = np.empty((len(blocks) // packer.block_size, packer.nvec, packer.code_size), np.uint8)
    for number, part in enumerate(codes):
        block = np.ascontiguousarray(blocks[number * packer.block_size :][: packer.block_size])
        packer.unpack_all(faiss.swig_ptr(block), faiss.swig_ptr(part))
    return codes.reshape(-1, packer.code_size)[:count]


def _entries(ivf: faiss.IndexIVF, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A list's codes in blocks, uint8 [bytes], and its ids, int64 [n]: views of the index."""
    ids, packer = _ids(ivf, number), ivf.get_CodePacker()
    size = -(-len(ids) // packer.nvec) * packer.block_size
    if not size:
        return np.empty(0, np.uint8), ids
    return faiss.rev_swig_ptr(_lists(ivf).get_codes(number), size), ids


def _ids(ivf: faiss.IndexIVF, number: int) -> np.ndarray:
    lists = _lists(ivf)
    size = lists.list_size(number)
    return faiss.rev_swig_ptr(lists.get_ids(number), size) if size else np.empty(0, np.int64)


def _lists(ivf: faiss.IndexIVF) -> Any:
    return faiss.downcast_InvertedLists(cast(Any, ivf.invlists))
