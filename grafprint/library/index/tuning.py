"""How thoroughly an approximate index is searched: nprobe and k, as found by index_tuning.py."""

from __future__ import annotations

from dataclasses import dataclass

SEGMENTS = 11  # in a query of 2 s
_GROWTH = 1.5  # of the library, after which the index is tuned again


@dataclass(frozen=True)
class Tuning:
    """How many lists a search probes and how many neighbours it asks for, for clips of 2 s.

    Found with ``rows`` rows in the index; ``recall`` is what it reached then.
    """

    nprobe: int
    neighbours: int
    recall: float
    rows: int

    @staticmethod
    def effort(segments: int) -> int:
        """The factor for nprobe and k in a search for ``segments`` segments.

        A clip shorter than 2 s has fewer segments to propose its place, so each is searched for
        more thoroughly; in all it costs no more than a clip of 2 s.
        """
        return -(-SEGMENTS // min(max(segments, 1), SEGMENTS))

    def outgrown(self, rows: int) -> bool:
        """Whether an index of ``rows`` rows has grown so much that it must be tuned again."""
        return rows > _GROWTH * self.rows
