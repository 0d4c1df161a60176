"""What searches a library on a server: the index, which is derived from the fingerprints there.

It knows rows and runs (schema.py), and no tracks. Which engine it is, and where, is in the table
``state``, so that all programs that use the library use the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from grafprint.errors import LibraryError

EXACT = "exact"
MILVUS = "milvus"
# Kinds of index of Milvus: how each is built and searched. With these, 5 s clips get the answers of
# exact search (benchmarks.cluster). HNSW is the usual one: its work grows least with the library.
KINDS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "HNSW": ({"M": 16, "efConstruction": 200}, {"ef": 128}),
    "IVF_SQ8": ({"nlist": 1024}, {"nprobe": 32}),
    "IVF_FLAT": ({"nlist": 1024}, {"nprobe": 32}),
    "FLAT": ({}, {}),
}


@dataclass(frozen=True)
class EngineSettings:
    """Which engine searches a library.

    ``kind``: ``exact``, in the memory of each program that searches, or ``milvus``, a server at
    ``uri`` with the rows in ``collection``. ``index`` is one of :data:`KINDS`, built with
    ``build`` and searched with ``search``. ``plain``: the server may be asked without encryption.
    """

    kind: str = EXACT
    uri: str = ""
    collection: str = ""
    index: str = ""
    build: dict[str, int] = field(default_factory=dict)
    search: dict[str, int] = field(default_factory=dict)
    plain: bool = False

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> EngineSettings:
        """The settings of :meth:`to_text`. Raises LibraryError if there are others."""
        try:
            settings = cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise LibraryError(
                "the library's search engine is none that this version of GraFPrint knows: "
                f"update GraFPrint ({error})"
            ) from error
        if settings.kind not in (EXACT, MILVUS):
            raise LibraryError(
                f"the library is searched by {settings.kind!r}, which this version of GraFPrint "
                "does not know: update GraFPrint"
            )
        return settings


class Engine(Protocol):
    """Nearest neighbours over the rows of a library."""

    settings: EngineSettings

    @property
    def exact(self) -> bool:
        """Whether a search compares with every row."""
        ...

    def put(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Store ``vectors [n, dim]`` of ``rows [n]``, which stay findable; again does no harm.

        Zero vectors (silence) are left out. Raises LibraryError if that fails.
        """
        ...

    def remove(self, runs: Iterable[int]) -> None:
        """Remove all rows of some runs; again does no harm. Raises LibraryError if that fails."""
        ...

    def search(self, queries: np.ndarray, k: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Inner products and rows ``[m, k]``, best first; -inf and -1 where there are fewer.

        Rows of removed tracks may be among them.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def sounding(rows: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows and float32 vectors that are not silent."""
    loud = np.asarray(vectors.any(axis=1))
    return np.asarray(rows[loud], np.int64), np.ascontiguousarray(vectors[loud], np.float32)


def blocks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most ``size`` items."""
    block: list[Any] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
