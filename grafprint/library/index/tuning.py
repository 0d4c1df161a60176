"""How far an approximate index must look: nprobe and k (chosen by index_tuning.py)."""

from __future__ import annotations

from dataclasses import dataclass

SEGMENTS = 11  # of a query of 2 s
_GROWTH = 1.5


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
        return -(-SEGMENTS // min(max(segments, 1), SEGMENTS))

    def outgrown(self, rows: int) -> bool:
        """Whether the library has become so much larger that it should be found anew."""
        return rows > _GROWTH * self.rows
