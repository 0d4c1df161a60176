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
_AS_GOOD = 0.005
_GROWTH = 1.5
_SEED = 20250406


@dataclass(frozen=True)
class Tuning:
    """How many lists a search looks into, and how many neighbours it asks for, for clips of 2 s.

    Found when there were ``rows``; ``recall`` is what it reached then.
    """

    nprobe: int
    neighbours: int
    recall: float
    rows: int

    @staticmethod
    def effort(segments: int) -> int:
        """By how much the segments of a clip of fewer than 2 s have to look further each.

        They are all there is to propose its place, and it costs no more than for 2 s.
        """
        return -(-_SEGMENTS // min(max(segments, 1), _SEGMENTS))

    def outgrown(self, rows: int) -> bool:
        """Whether the library has become so much larger that it should be found anew."""
        return rows > _GROWTH * self.rows


def tune(index: RowIndex, table: RowTable, vectors: VectorStore, recall: float = RECALL) -> Tuning:
    """The least work that proposes ``recall`` of places: lists looked into times neighbours.

    Stretches of two seconds from anywhere are degraded - their fingerprints turned in one random
    direction until their products with themselves are those of a noisy query - and searched for;
    one counts if at least one of its segments has its own row among the neighbours. Where nothing
    is enough, the least that is as good as the best. To be on the safe side it is then twice the
    lists.
    """
    rows = _places(table)
    wanted = vectors.read(rows)
    sounding = (wanted != 0).any(axis=2).all(axis=1)
    rows, queries = rows[sounding], _degraded(wanted[sounding]).reshape(-1, vectors.dim)
    lists = index.lists
    if not len(rows):  # there is hardly a sound
        return Tuning(lists, _NEIGHBOURS[0], 0.0, len(index))
    reached: dict[tuple[int, int], float] = {}
    for nprobe in _ladder(lists):
        found = index.search(queries, max(_NEIGHBOURS), nprobe)[1].reshape(*rows.shape, -1)
        own = found == rows[:, :, None]
        for neighbours in _NEIGHBOURS:
            proposed = own[:, :, :neighbours].any(axis=(1, 2))
            reached[nprobe, neighbours] = float(proposed.mean())
        if reached[nprobe, _NEIGHBOURS[0]] >= recall:
            break  # more lists would be more work
    enough = min(recall, max(reached.values()) - _AS_GOOD)
    nprobe, neighbours = min(
        (setting for setting, share in reached.items() if share >= enough),
        key=lambda setting: setting[0] * setting[1],
    )
    share = reached[nprobe, neighbours]
    return Tuning(min(_MARGIN * nprobe, lists), neighbours, share, len(index))


def _ladder(lists: int) -> list[int]:
    """Numbers of lists to try: powers of two up to a sixteenth of them, or at least sixteen."""
    most = min(lists, max(16, lists // 16))
    return sorted({*(2**n for n in range(most.bit_length())), most})


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
