"""Tables of libraries on servers; see benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.shared import cluster_costs, common
from benchmarks.shared.common import markdown
from grafprint.evaluation.intervals import percent

# "exact" is a search in the memory of the program, without Milvus.
EXACT = "exact, without Milvus"
_BOUND = (
    " **Of {kinds} only one size was measured, so the figures are far too high:** most of what a "
    "call costs there does not grow, and is counted as if it did."
)


_SPILLED = (
    " A folder serves one machine. At {sizes} billion its index is larger than what one may use, "
    "so some of it is read from the disk at each query: that is not counted, and the figures are "
    "too good."
)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}" if seconds < 0.01 else f"{1000 * seconds:.0f}"


def _settings(row: dict[str, Any]) -> str:
    """The settings of a row's index: ``HNSW, M 16, ef 128``."""
    values = {**row.get("build", {}), **row.get("search", {})}
    return ", ".join([f"`{row['kind']}`", *(f"{name} {value}" for name, value in values.items())])


def queries() -> str:
    """Answers of the servers beside the folder's."""
    found = common.read("cluster")
    count = found["queries"]
    rows = [
        [f"{r['fingerprints']:,}", EXACT if r["kind"] == "exact" else _settings(r),
         _ms(r["folder_query_s"]), _ms(r["query_s"]), _ms(r["folder_cpu_s"]),
         f"{_ms(r['client_cpu_s'])} + {_ms(r['server_cpu_s'])}", _ms(r["remote_batch_s"]),
         f"{r['same_as_folder']}", f"{r['same_as_exact']}", percent(r["hit_50ms"])]
        for r in found["rows"]
    ]  # fmt: skip
    header = [
        "fingerprints", "index", "folder, ms", "servers, ms", "CPU of the folder, ms",
        "CPU of program + servers, ms", "in one call, ms each", "the folder's answer",
        "exact search's answer", "hits",
    ]  # fmt: skip
    trips = found["rows"][-1]["round_trips"]
    return (
        f"{markdown(header, rows)}\n\n{count} queries of 5 s with noise (5 dB) and reverb, one "
        "after the other and each in the folder and on the servers in turn; median wall times, "
        f"mean CPU times. A query needs {trips['sql']:g} statements of PostgreSQL"
        + (f" and {trips['milvus']:g} call of Milvus." if trips["milvus"] else ".")
    )


def searches() -> str:
    """Kinds of index and their settings: time, and what is found."""
    rows = []
    for row in common.read("cluster")["rows"]:
        for tried in row.get("sweep", []):
            setting = " ".join(f"{name} {tried[name]}" for name in row["search"]) or "-"
            rows.append([
                f"{row['fingerprints']:,}", f"`{row['kind']}`", setting, _ms(tried["search_s"]),
                _ms(tried["server_cpu_s"]), f"{100 * tried['recall']:.1f}",
                f"{100 * tried['own_row']:.1f}",
            ])  # fmt: skip
    header = ["fingerprints", "index", "setting", "search, ms", "CPU of Milvus, ms",
              "recall, %", "own row, %"]  # fmt: skip
    return (
        f"{markdown(header, rows)}\n\n41 segments x 20 neighbours. Recall is the share of exact "
        "search's neighbours that are found; own row, how often the fingerprint of the query's own "
        "music is found where exact search finds it."
    )


def loading() -> str:
    """What it takes to load the servers, and their memory."""
    found = common.read("cluster")
    copies = {copy["size"]: copy for copy in found["copies"]}
    rows = [
        [f"{r['fingerprints']:,}", EXACT if r["kind"] == "exact" else f"`{r['kind']}`",
         _rate(copies[r["size"]], "rows_per_s", ("client_cpu_s", "server_cpu_s")),
         _rate(r, "fill_rows_per_s", ("fill_cpu_s",)) if "fill_rows_per_s" in r else "-",
         f"{r['build_s']:.0f} ({r['build_cpu_s']:.0f})" if "build_s" in r else "-",
         f"{copies[r['size']]['bytes'] / r['fingerprints']:.0f}",
         f"{r['postgresql_mb']:.0f}", f"{r['milvus_mb']:.0f}" if r["kind"] != "exact" else "-"]
        for r in found["rows"]
    ]  # fmt: skip
    header = [
        "fingerprints", "index", "into PostgreSQL, rows/s (by CPU)", "into Milvus, rows/s (by CPU)",
        "index, s (CPU)", "PostgreSQL's disk, bytes a row", "its memory, MB", "Milvus' memory, MB",
    ]  # fmt: skip
    return (
        f"{markdown(header, rows)}\n\nBy CPU: rows by CPU seconds of the program and the servers. "
        "Memory is that after the queries; Milvus takes "
        f"{min(r['milvus_mb'] for r in found['rows']):.0f} MB when it has nothing."
    )


def _rate(row: dict[str, Any], rate: str, spent: tuple[str, ...]) -> str:
    by_cpu = row["fingerprints"] / sum(row[name] for name in spent)
    return f"{row[rate]:,.0f} ({by_cpu:,.0f})"


def costs() -> str:
    """Billions of fingerprints, by arithmetic."""
    measured: dict[str, list[dict[str, Any]]] = {}
    for row in common.read("cluster")["rows"]:  # the largest of each kind comes last
        if row["kind"] != "exact":
            measured.setdefault(row["kind"], []).append(row)
    folder = common.read("scale")["rows"][-1]
    indexes = common.read("index_choice")["rows"]
    (codes,) = (r["bytes"] for r in indexes if r["factory"] == "OPQ32,IVF256,PQ32x4fs")
    found = [
        cost
        for rows in cluster_costs.SIZES
        for cost in (
            cluster_costs.of_folder(folder, codes, rows),
            *(cluster_costs.of_milvus(sizes, rows) for sizes in measured.values()),
        )
    ]
    rows = [
        [f"{c.rows / 1e9:g}", "folder" if c.index == "folder" else f"`{c.index}`",
         f"{c.memory_gb:,.0f}", str(c.machines), _figures(c.core_s), _figures(c.latency_s),
         _figures(c.queries_per_s)]
        for c in found
    ]  # fmt: skip
    header = ["billion fingerprints", "index", "memory, GB", "machines", "core-seconds a query",
              "one query alone, s", "queries per second"]  # fmt: skip
    sizes = ", ".join(f"`{kind}` {r[-1]['fingerprints']:,}" for kind, r in measured.items())
    # HNSW's work grows as log n, whatever was measured.
    bounds = [f"`{kind}`" for kind, r in measured.items() if len(r) == 1 and kind != "HNSW"]
    spilled = [f"{c.rows / 1e9:g}" for c in found if c.index == "folder" and not c.fits]
    return (
        f"{markdown(header, rows)}\n\nMachines of {cluster_costs.NODE_GB} GB, of which an index "
        f"may use {100 * cluster_costs.USABLE:.0f} %, and {cluster_costs.CORES} cores. Computed "
        f"from: folder {folder['fingerprints']:,} fingerprints, {sizes}."
        + (_BOUND.format(kinds=" and ".join(bounds)) if bounds else "")
        + (_SPILLED.format(sizes=" and ".join(spilled)) if spilled else "")
    )


def _figures(value: float) -> str:
    """Two significant figures."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{float(f'{value:.2g}'):g}"


TABLES: dict[str, Callable[[], str]] = {
    "cluster queries": queries,
    "cluster searches": searches,
    "cluster loading": loading,
    "cluster costs": costs,
}
