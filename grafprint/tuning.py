"""How far an approximate index must look to find enough, tried on the library itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grafprint.store import VectorStore

if TYPE_CHECKING:
    from grafprint.index import RowIndex
    from grafprint.upkeep import RowTable

RECALL = 0.99  # of queries of 2 s, whose place is to be proposed
_NEIGHBOURS = (20, 40, 80)
_QUERIES = 300
_SEGMENTS = 11  # of a query of 2 s
# Inner product of a segment with what it is a degraded copy of: less than that have one in thirty
# segments with noise at 5 dB and reverb, by the released network.
_LIKENESS = 0.55
# Real noise does not turn fingerprints in all directions alike: of lists, real queries need up to
# twice as many (benchmarks/index_choice.py).
_MARGIN = 2
_GROWTH = 1.5
_SEED = 20250406


@dataclass(frozen=True)
class Tuning:
    """How many lists a search looks into, and how many neighbours it asks for.

    Found when there were ``rows``; ``recall`` is what it reached then.
    """

    nprobe: int
    neighbours: int
    recall: float
    rows: int

    def outgrown(self, rows: int) -> bool:
        """Whether the library has become so much larger that it should be found anew."""
        return rows > _GROWTH * self.rows


def tune(index: RowIndex, table: RowTable, vectors: VectorStore, recall: float = RECALL) -> Tuning:
    """The fewest neighbours, and with these the fewest lists, that propose ``recall`` of places.

    Stretches of two seconds from anywhere are degraded - their fingerprints turned in one random
    direction until their products with themselves are those of a noisy query - and searched for;
    one counts if at least one of its segments has its own row among the neighbours. Where no
    setting is enough, the best one is taken. To be on the safe side it is then twice the lists.
    """
    rows = _places(table)
    wanted = vectors.read(rows)
    queries = _degraded(wanted).reshape(-1, vectors.dim)
    sounding = (wanted != 0).any(axis=2).all(axis=1)
    best = Tuning(1, _NEIGHBOURS[0], 0.0, len(index))
    if not sounding.any():
        return best
    lists = index.lists
    for neighbours in _NEIGHBOURS:
        for nprobe in [2**n for n in range((lists - 1).bit_length())] + [lists]:
            found = index.search(queries, neighbours, nprobe)[1].reshape(*rows.shape, neighbours)
            proposed = (found == rows[:, :, None]).any(axis=(1, 2))
            reached = float(proposed[sounding].mean())
            if reached > best.recall:
                safe = min(_MARGIN * nprobe, lists)
                best = Tuning(safe, neighbours, reached, len(index))
            if reached >= recall:
                return best
    return best


def _places(table: RowTable) -> np.ndarray:
    """Rows of stretches of a track, from all tracks alike: int64 [queries, segments]."""
    rng = np.random.default_rng(_SEED)
    starts = table.rows(rng.integers(table.total, size=_QUERIES))
    _, firsts, counts = table.spans(starts)
    starts = np.minimum(starts, np.maximum(firsts, firsts + counts - _SEGMENTS))
    # Of a track that is shorter the last row is asked for again.
    return np.minimum(starts[:, None] + np.arange(_SEGMENTS), (firsts + counts - 1)[:, None])


def _degraded(vectors: np.ndarray) -> np.ndarray:
    """``vectors [queries, segments, dim]`` as if each query were heard in a noise of its own."""
    shape = (len(vectors), 1, vectors.shape[2])
    noise = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
    noise = noise - (noise * vectors).sum(axis=-1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    return _LIKENESS * vectors + np.float32((1 - _LIKENESS**2) ** 0.5) * noise
