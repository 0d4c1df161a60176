"""What a library of billions of fingerprints would cost: arithmetic from what was measured.

Nothing here was measured at that size. The assumptions are the constants below, and those that the
page names (docs/cluster.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DIM = 128
NODE_GB, USABLE, CORES = 256, 0.75, 32  # a machine's memory, what of it an index may use, its cores
SEGMENT_ROWS = (16 << 30) // (4 * DIM)  # of a segment of 16 GiB of vectors (segment.maxSize)
SIZES = (10**9, 10**10)
# Beside the index, for each row: the row's number, its time stamp, and a filter of the numbers.
ROW_BYTES = 8 + 8 + 2


@dataclass(frozen=True)
class Cost:
    """For ``rows`` fingerprints: memory in GB, machines, and core-seconds of a 5 s query."""

    index: str
    rows: int
    memory_gb: float
    machines: int
    core_s: float

    @property
    def fits(self) -> bool:
        """Whether the machines may use as much memory."""
        return self.memory_gb <= self.machines * NODE_GB * USABLE

    @property
    def latency_s(self) -> float:
        """Seconds of a query on otherwise idle machines, which share its work evenly."""
        return self.core_s / (self.machines * CORES)

    @property
    def queries_per_s(self) -> float:
        """How many queries the machines answer in a second, all cores being busy."""
        return self.machines * CORES / self.core_s


def index_bytes(row: dict[str, Any]) -> float:
    """Bytes of an index of Milvus for each fingerprint, from what it consists of."""
    if row["kind"] == "HNSW":
        links = 2 * row["build"]["M"] * 4  # of the lowest layer, where all rows are
        return 4 * DIM + links * (1 + 1 / row["build"]["M"])
    return DIM if row["kind"] == "IVF_SQ8" else 4 * DIM


def search_cpu_s(row: dict[str, Any]) -> float:
    """CPU seconds of Milvus for the segments of one query, with the settings of the row."""
    (tried,) = (t for t in row["sweep"] if row["search"].items() <= t.items())
    return float(tried["server_cpu_s"])


def of_milvus(measured: list[dict[str, Any]], rows: int) -> Cost:
    """A kind of index at ``rows``, from what was measured of it, the largest size last.

    Every segment is searched. In one of n rows HNSW's work grows as log n. A kind with lists does
    work in proportion to the rows if the same share of the lists is probed, and so does ``FLAT``:
    as much for each row as between the two largest sizes, or, if there is one, in all.
    """
    row = measured[-1]
    count, core_s = row["fingerprints"], search_cpu_s(row)
    if row["kind"] == "HNSW":
        in_segment = min(rows, SEGMENT_ROWS)
        core_s *= rows / in_segment * math.log(in_segment) / math.log(count)
    else:
        before = measured[-2] if len(measured) > 1 else None
        less, fewer = (search_cpu_s(before), before["fingerprints"]) if before else (0.0, 0)
        core_s *= 1 if core_s <= less else (core_s - less) / core_s * count / (count - fewer)
        core_s *= rows / count
    memory = rows * (index_bytes(row) + ROW_BYTES) / 1e9
    return Cost(row["kind"], rows, memory, _machines(memory), core_s)


def of_folder(row: dict[str, Any], bytes_a_row: float, rows: int) -> Cost:
    """A folder at ``rows``, from the largest that was measured, on two cores: it has one machine.

    Its index is mapped: its memory is what must be in the system's cache for the same speed.
    """
    memory = rows * bytes_a_row / 1e9
    core_s = 2 * row["query_s"] * rows / row["fingerprints"]
    return Cost("folder", rows, memory, 1, core_s)


def _machines(memory_gb: float) -> int:
    return max(1, math.ceil(memory_gb / (NODE_GB * USABLE)))
