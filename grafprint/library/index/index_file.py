"""The index file: FAISS's own format, or its header followed by memory-mappable inverted lists.

The second kind holds what FAISS writes for an index without entries (a few MB: centroids, code
tables), the sizes of the lists (int64) and, from the next page on, the lists (inverted_lists.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from grafprint.library.index import inverted_lists
from grafprint.library.index.inverted_lists import Alive, Portion, ivf_of

# Lists up to this size are checked when a file is opened; larger ones are used unchecked. A damaged
# code or id can only propose a wrong place, and every place is compared with the fingerprints
# themselves.
CHECKED_BYTES = 1 << 28
_PAGE = 4096
_PIECE = 1 << 20


@dataclass(frozen=True)
class Lists:
    """The layout of a file with mappable lists, and their checksum."""

    structure_bytes: int
    lists: int
    crc32: int

    @property
    def head_bytes(self) -> int:
        """Bytes of structure and sizes."""
        return self.structure_bytes + 8 * self.lists

    @property
    def begin(self) -> int:
        """The byte at which the lists begin."""
        return -(-self.head_bytes // _PAGE) * _PAGE


class _ChecksumWriter:
    """A file opened for writing that sums up what is written."""

    def __init__(self, path: Path) -> None:
        # FAISS's own writer does not notice when the last bytes do not fit on the disk.
        self._file, self.crc32 = path.open("wb"), 0

    def write(self, piece: bytes) -> None:
        self.crc32 = zlib.crc32(piece, self.crc32)
        self._file.write(piece)

    def __enter__(self) -> _ChecksumWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def write_whole(path: Path, index: faiss.Index) -> dict[str, Any]:
    """Write an index in FAISS's format; returns what :func:`read` needs to check it."""
    with _ChecksumWriter(path) as file:
        writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]
        faiss.write_index(index, writer)
    return {"crc32": file.crc32}


def write_lists(
    path: Path,
    index: faiss.Index,
    structure: np.ndarray,
    additions: Iterable[Portion],
    alive: Alive | None,
) -> dict[str, Any]:
    """Write an index with its lists, without the rows that are not ``alive``, with ``additions``.

    ``structure`` is the index as serialised by FAISS without entries. Returns what :func:`read`
    needs to check the file.
    """
    sizes, write = inverted_lists.merge(index, additions, alive, path.parent)
    with _ChecksumWriter(path) as file:
        file.write(structure.tobytes())
        file.write(sizes.astype("<i8").tobytes())
        head = file.crc32
        layout = Lists(len(structure), len(sizes), 0)
        file.write(bytes(layout.begin - layout.head_bytes))
        file.crc32 = 0
        write(file.write)
    layout = Lists(len(structure), len(sizes), file.crc32)
    return {"crc32": head, "lists": asdict(layout)}


def read(
    path: Path, known: dict[str, Any], checked_bytes: float
) -> tuple[faiss.Index, np.ndarray | None]:
    """An index and its ``structure`` for :func:`write_lists` (None if it was written whole).

    ``known`` is what the function that wrote it returned; lists of up to ``checked_bytes`` are
    checked. Raises ValueError if the file does not agree with it, OSError if it cannot be read,
    RuntimeError if FAISS cannot read it.
    """
    # Checked first, because FAISS may crash on a damaged file.
    if "lists" not in known:
        _check(path, 0, path.stat().st_size, known["crc32"])
        return faiss.read_index(str(path)), None
    layout = Lists(**known["lists"])
    _check(path, 0, layout.head_bytes, known["crc32"])
    with path.open("rb") as file:
        structure = np.frombuffer(file.read(layout.structure_bytes), np.uint8)
        sizes = np.frombuffer(file.read(8 * layout.lists), "<i8")
    index = faiss.deserialize_index(structure)
    ivf = ivf_of(index)
    if ivf is None or not inverted_lists.supported(ivf) or ivf.nlist != layout.lists:
        raise ValueError("its lists cannot be used on this system")
    size = inverted_lists.file_bytes(ivf, sizes)
    if path.stat().st_size != layout.begin + size:
        raise ValueError("it is too short or too long")
    if size <= checked_bytes:
        _check(path, layout.begin, size, layout.crc32)
    inverted_lists.attach(ivf, path, layout.begin, sizes)
    index.ntotal = ivf.ntotal
    return index, structure


def in_memory(index: faiss.Index, structure: np.ndarray) -> faiss.Index:
    """The same index with its lists in memory, where they can be changed."""
    copy = faiss.deserialize_index(structure)
    to, source = ivf_of(copy), ivf_of(index)
    assert to is not None and source is not None
    inverted_lists.load(to, source)
    copy.ntotal = index.ntotal
    return copy


def _check(path: Path, begin: int, size: int, crc32: int) -> None:
    checksum = 0
    with path.open("rb") as file:
        file.seek(begin)
        while size and (piece := file.read(min(size, _PIECE))):
            checksum = zlib.crc32(piece, checksum)
            size -= len(piece)
    if size or checksum != crc32:
        raise ValueError("its checksum is wrong")
