"""Choose nprobe and k for an approximate index by measuring recall on the library itself."""

from __future__ import annotations

import math

import numpy as np

from grafprint.library.index.row_index import RowIndex
from grafprint.library.index.tuning import SEGMENTS, Tuning
from grafprint.library.rows import RowTable
from grafprint.library.vectors import VectorStore

RECALL = 0.99  # share of queries of 2 s whose place must be proposed
_NEIGHBOURS = (20, 40, 80)
_QUERIES = 300
# Inner product of a segment and its degraded copy. With the released network, noise at 5 dB and
# reverb, one segment in thirty has less.
_SIMILARITY = 0.55
# Real noise does not move fingerprints in all directions alike: real queries need up to twice as
# many lists (benchmarks/index_choice.py).
_MARGIN = 2
# Fingerprints to compare each segment with at least, in codes. Few lists of a small index would
# hold too little of it; with these, no right answer of exact search was lost at 200,000 and 450,000
# fingerprints (benchmarks/scale.py), for a millisecond or two.
_COMPARED = 1 << 15
_TOLERANCE = 0.005  # of recall
_SEED = 20250406


def tune(index: RowIndex, table: RowTable, vectors: VectorStore, recall: float = RECALL) -> Tuning:
    """Find the setting with the least work (nprobe times k) that reaches ``recall``.

    Random passages of two seconds are degraded and searched for: each is moved in one random
    direction until its inner products with the original are those of a noisy query. A passage is
    found if any of its segments has its own row among the neighbours. If no setting reaches
    ``recall``, take the least work that is about as good as the best. The number of lists is then
    doubled, as a safety margin, and is at least what holds 32,768 fingerprints.
    """
    rows = _choose_rows(table)
    originals = vectors.read(rows)
    non_silent = (originals != 0).any(axis=2).all(axis=1)
    rows, queries = rows[non_silent], _degrade(originals[non_silent]).reshape(-1, vectors.dim)
    lists = index.lists
    if not len(rows):  # almost everything is silent
        return Tuning(lists, _NEIGHBOURS[0], 0.0, len(index))
    reached: dict[tuple[int, int], float] = {}
    for nprobe in _ladder(lists):
        found = index.search(queries, max(_NEIGHBOURS), nprobe)[1].reshape(*rows.shape, -1)
        own = found == rows[:, :, None]
        for neighbours in _NEIGHBOURS:
            proposed = own[:, :, :neighbours].any(axis=(1, 2))
            reached[nprobe, neighbours] = float(proposed.mean())
        if reached[nprobe, _NEIGHBOURS[0]] >= recall:
            break  # more lists would only be more work
    enough = min(recall, max(reached.values()) - _TOLERANCE)
    nprobe, neighbours = min(
        (setting for setting, share in reached.items() if share >= enough),
        key=lambda setting: setting[0] * setting[1],
    )
    share = reached[nprobe, neighbours]
    least = math.ceil(_COMPARED * lists / len(index))
    return Tuning(min(max(_MARGIN * nprobe, least), lists), neighbours, share, len(index))


def _ladder(lists: int) -> list[int]:
    """Numbers of lists to try: powers of two up to a sixteenth of all, or at least sixteen."""
    most = min(lists, max(16, lists // 16))
    return sorted({*(2**n for n in range(most.bit_length())), most})


def _choose_rows(table: RowTable) -> np.ndarray:
    """Rows of random passages, each within one track: int64 [queries, segments]."""
    rng = np.random.default_rng(_SEED)
    starts = table.rows(rng.integers(table.total, size=_QUERIES))
    _, firsts, counts = table.spans(starts)
    starts = np.minimum(starts, np.maximum(firsts, firsts + counts - SEGMENTS))
    # In a track shorter than a passage, the last row is repeated.
    return np.minimum(starts[:, None] + np.arange(SEGMENTS), (firsts + counts - 1)[:, None])


def _degrade(vectors: np.ndarray) -> np.ndarray:
    """Degrade ``vectors [queries, segments, dim]``, with a different noise for each query."""
    shape = (len(vectors), 1, vectors.shape[2])
    noise = np.random.default_rng(_SEED).standard_normal(shape, np.float32)
    noise = noise - (noise * vectors).sum(axis=-1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=-1, keepdims=True)
    return _SIMILARITY * vectors + np.float32((1 - _SIMILARITY**2) ** 0.5) * noise
