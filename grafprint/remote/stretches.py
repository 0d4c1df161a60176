"""Stretches of fingerprints, fetched from the server in few round trips and kept for a query."""

from __future__ import annotations

import numpy as np

from grafprint.errors import LibraryError
from grafprint.library import half_products
from grafprint.remote.database import Database
from grafprint.remote.schema import PART_BITS, PART_ROWS

_MOST_BYTES = 1 << 26  # what is kept; beyond it, the oldest goes
_GAP = 16  # rows between two stretches that are fetched along
_BLOCK = 1 << 18  # rows fetched at once where all are needed

_FETCH = """
SELECT substring(p.fingerprints FROM w.begin * %s + 1 FOR w.rows * %s)
FROM unnest(%s::bigint[], %s::int[], %s::int[]) WITH ORDINALITY AS w (part, begin, rows, number)
JOIN grafprint.parts p ON p.id = w.part
ORDER BY w.number
"""


class Stretches:
    """Some of the fingerprints of a library, in float16, found by their row numbers.

    What a row number means never changes, so nothing kept here grows old.
    """

    def __init__(self, database: Database, dim: int) -> None:
        self._database, self._dim = database, dim
        self._forget()

    def _forget(self) -> None:
        self._begins = np.empty(0, np.int64)  # first rows of the stretches, in order
        self._ends = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)  # of the first rows in the buffer
        self._buffer = np.empty((0, self._dim), np.float16)

    # What is asked of them ----------------------------------------------------------------------

    def prefetch(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        """Fetch the rows ``firsts [c]`` to ``ends [c]`` (exclusive), as far as they are missing."""
        wanted = firsts < ends
        self._ensure(firsts[wanted], ends[wanted])

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """The fingerprints ``[..., dim]`` (float32) of rows ``[...]``."""
        flat, where = np.unique(rows, return_inverse=True)
        found = np.empty((len(flat), self._dim), np.float16)
        for begin in range(0, len(flat), _BLOCK):  # what is kept is bounded
            some = flat[begin : begin + _BLOCK]
            self._ensure_rows(some)
            found[begin : begin + _BLOCK] = self._buffer[self._located(some)]
        return found[where.reshape(np.shape(rows))].astype(np.float32)

    def products(self, rows: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Inner products ``[c, n]`` of rows ``[c, n]`` with ``queries [n, dim]``."""
        self._ensure_rows(np.unique(rows))
        products = np.empty(rows.shape, np.float32)
        half_products.row_products(
            self._buffer.view(np.int16), self._located(rows), _scaled(queries), products
        )
        return products

    def score_sums(
        self, places: np.ndarray, positions: np.ndarray, queries: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """See ``Collection.score_sums``."""
        starts, firsts, counts = np.asarray(places, np.int64)
        begins = np.maximum(starts + positions[0], firsts)
        ends = np.minimum(starts + positions[-1] + 1, firsts + counts)
        inside = begins < ends
        self._ensure(begins[inside], ends[inside])
        # The same places in the buffer, where a track is no more than the stretch that is met.
        local = np.zeros((3, len(starts)), np.int64)
        at = self._located(begins[inside])
        local[:, inside] = at - (begins - starts)[inside], at, (ends - begins)[inside]
        sums, met = np.zeros(len(starts)), np.zeros(len(starts), np.int64)
        if len(self._buffer):
            half_products.candidate_sums(
                self._buffer.view(np.int16), local, positions, _scaled(queries), sums, met
            )
        return sums, met

    # Fetching -----------------------------------------------------------------------------------

    def _ensure_rows(self, rows: np.ndarray) -> None:
        """Fetch ``rows [n]``, in order and distinct, as far as they are missing."""
        if len(rows):
            apart = np.flatnonzero(np.diff(rows) > 1) + 1
            self._ensure(rows[[0, *apart]], rows[[*(apart - 1), -1]] + 1)

    def _ensure(self, firsts: np.ndarray, ends: np.ndarray) -> None:
        place = np.searchsorted(self._begins, firsts, side="right") - 1
        known = np.zeros(len(firsts), bool)
        if len(self._begins):
            known = (place >= 0) & (ends <= self._ends[place])
        if known.all():
            return
        begins, stops = _merged(firsts[~known], ends[~known])
        fetched = self._fetch(begins, stops)
        if (len(self._buffer) + len(fetched)) * 2 * self._dim > _MOST_BYTES:
            self._forget()
            if known.any():  # all that is needed now must be there at once
                begins, stops = _merged(firsts, ends)
                fetched = self._fetch(begins, stops)
        lengths = stops - begins
        new_places = len(self._buffer) + np.cumsum(lengths) - lengths
        begins = np.concatenate([self._begins, begins])
        stops = np.concatenate([self._ends, stops])
        order = np.argsort(begins, kind="stable")
        places = np.concatenate([self._places, new_places])
        self._begins, self._ends, self._places = begins[order], stops[order], places[order]
        self._buffer = np.concatenate([self._buffer, fetched])
        self._hide_overlaps()

    def _hide_overlaps(self) -> None:
        """Keep stretches findable: of two that overlap, the later one begins where it is longer."""
        longest = np.maximum.accumulate(self._ends)
        keep = np.ones(len(self._begins), bool)
        keep[1:] = self._ends[1:] > longest[:-1]
        self._begins, self._ends, self._places = (
            array[keep] for array in (self._begins, self._ends, self._places)
        )

    def _fetch(self, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
        parts, offsets, lengths = _pieces(begins, ends)
        size = 2 * self._dim
        found = self._database.rows(
            _FETCH, (size, size, parts.tolist(), offsets.tolist(), lengths.tolist())
        )
        data = b"".join(piece for (piece,) in found)
        if len(data) != int(lengths.sum()) * size:
            raise LibraryError(
                f"fingerprints are missing from the library {self._database.address}: a track was "
                "removed meanwhile, so try again; or `grafprint library check` says more"
            )
        return np.frombuffer(data, "<f2").reshape(-1, self._dim).astype(np.float16, copy=False)

    def _located(self, rows: np.ndarray) -> np.ndarray:
        """Places in the buffer, int64, of rows that are there."""
        place = np.searchsorted(self._begins, rows, side="right") - 1
        return np.asarray(self._places[place] + rows - self._begins[place])


def _merged(firsts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches in order, those that touch or nearly do joined."""
    order = np.argsort(firsts, kind="stable")
    firsts, ends = firsts[order], np.maximum.accumulate(ends[order])
    apart = np.flatnonzero(firsts[1:] > ends[:-1] + _GAP) + 1
    return firsts[[0, *apart]], ends[[*(apart - 1), -1]]


def _pieces(begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches cut where parts end: the part, the first row in it, and the number of rows."""
    first, last = begins >> PART_BITS, (ends - 1) >> PART_BITS
    counts = last - first + 1
    which = np.repeat(np.arange(len(begins)), counts)
    parts = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    start = np.maximum(begins[which], parts << PART_BITS)
    stop = np.minimum(ends[which], (parts + 1) << PART_BITS)
    return parts, start & (PART_ROWS - 1), stop - start


def _scaled(queries: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(queries, np.float32) * half_products.HALF_SCALE
