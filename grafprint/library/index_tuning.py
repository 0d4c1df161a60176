"""Choose nprobe and k for an approximate index by measuring recall on the library itself."""

from __future__ import annotations

import numpy as np

from grafprint.library.index.row_index import RowIndex
from grafprint.library.index.tuning import SEGMENTS, Tuning
from grafprint.library.rows import RowTable
from grafprint.library.vectors import VectorStore

RECALL = 0.99  # of queries of 2 s, whose place is to be proposed
_NEIGHBOURS = (20, 40, 80)
_QUERIES = 300
# Inner product of a segment with what it is a degraded copy of: less than that have one in thirty
# segments with noise at 5 dB and reverb, by the released network.
_LIKENESS = 0.55
# Real noise does not turn fingerprints in all directions alike: of lists, real queries need up to
# twice as many (benchmarks/index_choice.py).
_MARGIN = 2
_AS_GOOD = 0.005
_SEED = 20250406


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
    starts = np.minimum(starts, np.maximum(firsts, firsts + counts - SEGMENTS))
    # Of a track that is shorter the last row is asked for again.
    return np.minimum(starts[:, None] + np.arange(SEGMENTS), (firsts + counts - 1)[:, None])


def _degraded(vectors: np.ndarray) -> np.ndarray:
    """``vectors [queries, segments, dim]`` as if each query were heard in a noise of its own."""
    shape = (len(vectors), 1, vectors.shape[2])
    noise = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
    noise = noise - (noise * vectors).sum(axis=-1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    return _LIKENESS * vectors + np.float32((1 - _LIKENESS**2) ** 0.5) * noise
