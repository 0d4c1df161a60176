"""Tables of hit rates, times, weak spots and ablations; see benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from benchmarks.pages.figures import TITLES
from benchmarks.shared import common, paper_results
from benchmarks.shared.common import markdown
from benchmarks.shared.systems import SYSTEMS
from grafprint.evaluation.intervals import percent, wilson
from grafprint.evaluation.report import MEASURES


def grid(reverb: bool) -> str:
    """Table II on a common budget: a row per length and system, right track within 50 ms."""
    reports = {name: r for name in SYSTEMS if (r := _read(f"table2-{name}"))}
    if not reports:
        raise FileNotFoundError("benchmarks.table2")
    header = ["query", "system", "pairs", *(f"{s:g} dB" for s in paper_results.SNRS_DB)]
    rows = (
        [f"{length:g} s", TITLES[name], _pairs(report),
         *(percent(c["hit_50ms"]) for c in _cells(report, length, reverb))]
        for length in paper_results.LENGTHS_S for name, report in reports.items()
    )  # fmt: skip
    return f"{markdown(header, rows)}\n\n{_searched(next(iter(reports.values())))}"


def beside_paper() -> str:
    """The paper's row of Table II and the released network's, by either protocol."""
    measured = {"released": common.read("table2-released")}
    if published := _read("table2-released-published"):
        measured["released, published protocol"] = published

    def rows() -> Iterator[list[str]]:
        for length in paper_results.LENGTHS_S:
            for reverb in (False, True):
                start = [f"{length:g} s", "yes" if reverb else "no"]
                for name, report in measured.items():
                    cells = _cells(report, length, reverb)
                    yield [*start, name, *(percent(c["hit_50ms"]) for c in cells)]
                values = paper_results.TABLE_II["grafprint"][length][int(reverb)]
                yield [*start, "*the paper's*", *(f"*{v:.1f}*" for v in values)]

    header = ["query", "reverb", "", *(f"{s:g} dB" for s in paper_results.SNRS_DB)]
    return f"{markdown(header, rows())}\n\n{_searched(measured['released'])}"


def _pairs(report: dict[str, Any]) -> str:
    """The number of pairs in the last training run of a report's network."""
    network = report["network"]
    return f"{network['steps_done'] * network['config']['batch']:,}"


def released(measure: str) -> Callable[[], str]:
    """The released network: a row per length and reverb, a column per SNR, and the library."""

    def table() -> str:
        report = common.read("table2-released")
        config = report["config"]
        rows = [
            [f"{length:g} s", "yes" if reverb else "no",
             *(percent(c[measure]) for c in _cells(report, length, reverb))]
            for length in config["lengths_s"] for reverb in config["reverbs"]
        ]  # fmt: skip
        header = ["query", "reverb", *(f"{s:g} dB" for s in paper_results.SNRS_DB)]
        return f"{markdown(header, rows)}\n\n{_searched(report)}"

    return table


def _searched(report: dict[str, Any]) -> str:
    """The size of the library and the number of queries of a report."""
    queries = report["config"]["queries"]
    return (
        f"{report['references']:,} references, {report['fingerprints']:,} fingerprints; "
        f"{queries} queries per cell, cut from {report['query_tracks']} test tracks."
    )


def scale() -> str:
    """Table III: the library grows; 1 s, noise and reverb."""
    rows = []
    for name in ("released", *SYSTEMS):
        for report in (_read(f"table3-{name}") or {"sizes": []})["sizes"]:
            cells = _cells(report, 1.0, True)
            rows.append([f"{report['fingerprints']:,}", TITLES[name],
                         *(percent(c["hit_50ms"]) for c in cells)])  # fmt: skip
    if not rows:
        raise FileNotFoundError("benchmarks.table3")
    for name, values in paper_results.TABLE_III.items():
        rows.append(["*fma-large*", f"*paper: {TITLES[name]}*", *(f"*{v:.1f}*" for v in values)])
    return markdown(["fingerprints", "system", *(f"{s:g} dB" for s in paper_results.SNRS_DB)], rows)


def granularity() -> str:
    """Figure 2: hops and tolerances."""
    results = common.read("granularity")["rows"]
    header = ["hop", "fingerprints", "query", "reverb",
              *(f"within {1000 * float(t):g} ms" for t in results[0]["hits"])]  # fmt: skip
    return markdown(header, (
        [f"{1000 * r['hop_s']:.0f} ms", f"{r['fingerprints']:,}", f"{r['length_s']:g} s",
         "yes" if r["reverb"] else "no", *(percent(v) for v in r["hits"].values())]
        for r in results
    ))  # fmt: skip


def times() -> str:
    """Time errors."""
    header = [
        "query",
        "reverb",
        "right tracks",
        "median error",
        "of hits",
        "mean (signed), of hits",
    ]
    return markdown(header, (
        [f"{r['length_s']:g} s", "yes" if r["reverb"] else "no", str(r["queries"]),
         *("-" if r[key] is None else f"{1000 * r[key]:.1f} ms"
           for key in ("median_s", "median_of_hits_s", "bias_of_hits_s"))]
        for r in common.read("table2-released")["times"]
    ))  # fmt: skip


def classical(
    measure: str, theirs: Mapping[str, Mapping[tuple[float, bool], tuple[int, ...]]]
) -> str:
    """The released network and classical programs: a row per program and condition."""
    report = common.read("table2-released")
    rows = []
    for snr, reverb in next(iter(theirs.values())):
        condition = f"{snr:g} dB{' and reverb' if reverb else ''}"
        cells = [c for c in report["cells"] if (c["snr_db"], c["reverb"]) == (snr, reverb)]
        cells.sort(key=lambda c: c["length_s"])
        rows.append([condition, "GraFPrint", *(percent(c[measure]) for c in cells)])
        for name, rates in theirs.items():
            rows.append([condition, name, *(str(rate) for rate in rates[snr, reverb])])
    return markdown(["", "program", *(f"{s:g} s" for s in paper_results.LENGTHS_S)], rows)


def groups(key: str) -> Callable[[], str]:
    """Hit rates by kind of noise, room or package, worst first; then by collections of rooms."""
    measured = [(length, what) for length in ("1 s", "5 s") for what in ("right_track", "hit_50ms")]

    def pooled(groups: list[dict[str, Any]], length: str, what: str) -> tuple[float, float, float]:
        queries = [group[length]["queries"] for group in groups]
        rates = [group[length][what][0] for group in groups]
        hits = sum(round(n * rate) for n, rate in zip(queries, rates, strict=True))
        return wilson(hits, sum(queries))

    def table() -> str:
        found = common.read("table2-released")[key]
        order = sorted(found, key=lambda name: found[name]["1 s"]["right_track"][0])
        lines = {name: [found[name]] for name in order}
        for name in order:
            collection, _, rest = name.partition("__")
            if rest:
                lines.setdefault(f"*all of {collection}*", []).append(found[name])
        header = ["", "queries", *(f"{length}, {what}" for length in ("1 s", "5 s")
                                   for what in ("right track", "within 50 ms"))]  # fmt: skip
        return markdown(header, (
            [name, str(sum(group["1 s"]["queries"] for group in groups)),
             *(percent(pooled(groups, *which)) for which in measured)]
            for name, groups in lines.items()
        ))  # fmt: skip

    return table


def open_set() -> str:
    """True and false positive rates by confidence threshold."""
    header = ["query", "confidence threshold", "present: right track", "present: wrong track",
              "absent: a track"]  # fmt: skip
    return markdown(header, (
        [f"{row['length_s']:g} s",
         f"{100 * row['confidence']:.1f} %{' (default)' * row['default']}",
         *(percent(row[key]) for key in ("found", "wrong_when_present", "wrong_when_absent"))]
        for row in common.read("table2-released")["open_set"]["curve"]
    ))  # fmt: skip


def ablation() -> str:
    """Every row of the ablation and its difference to the base."""
    rows = common.read("ablation")["rows"]
    base = rows["base"]["scores"]
    keys = ("noise", "reverb", "life")

    def cells(scores: dict[str, float]) -> Iterator[str]:
        for key in keys:
            change = 100 * (scores[key] - base[key])
            yield f"{100 * scores[key]:.1f} ({change:+.1f})"
            yield f"{100 * scores[f'{key}_track']:.1f}"

    header = ["", *(f"{key}, {what}" for key in keys for what in ("within 50 ms", "track"))]
    return markdown(header, ([name, *cells(row["scores"])] for name, row in rows.items()))


def rerecordings(measure: str) -> Callable[[], str]:
    """Virtual re-recordings and the old conditions, by fingerprints alone and with landmarks."""

    def table() -> str:
        report = common.read("rerecordings")
        lengths = report["fingerprints"]["config"]["lengths_s"]
        kinds = dict.fromkeys(_kind(cell) for cell in report["fingerprints"]["cells"])
        rows = [
            [kind, how, *(percent(cells[length, kind][measure]) for length in lengths)]
            for kind in kinds
            for how in ("fingerprints", "with landmarks")
            for cells in [{(c["length_s"], _kind(c)): c for c in report[how]["cells"]}]
        ]
        header = ["query", "", *(f"{length:g} s" for length in lengths)]
        means = (
            f"{how} {100 * np.mean([cell[measure][0] for cell in report[how]['cells']]):.1f} %"
            for how in ("fingerprints", "with landmarks")
        )
        searched = _searched(report["fingerprints"])
        return f"{markdown(header, rows)}\n\nMean of all cells: {', '.join(means)}. {searched}"

    return table


def calibration_kinds() -> str:
    """By kind of query and length: how much of what is right is named, and false positives."""
    rows = common.read("calibration-landmarks")["kinds"]
    lengths = sorted({row["length_s"] for row in rows})
    found = {(row["kind"], row["length_s"]): row for row in rows}
    header = ["query", *(f"{length:g} s" for length in lengths),
              *(f"absent, {length:g} s" for length in lengths)]  # fmt: skip
    return markdown(header, (
        [kind, *(percent(found[kind, length][what])
                 for what in ("named_of_right", "named_when_absent") for length in lengths)]
        for kind in dict.fromkeys(row["kind"] for row in rows)
    ))  # fmt: skip


def _kind(cell: dict[str, Any]) -> str:
    """What happened to the queries of a cell."""
    if name := cell.get("rerecording"):
        return str(name)
    return f"{cell['snr_db']:g} dB{' and reverb' if cell['reverb'] else ''}"


TABLES: dict[str, Callable[[], str]] = {
    "noise": lambda: grid(reverb=False),
    "reverb": lambda: grid(reverb=True),
    **{f"released {measure}": released(measure) for measure in MEASURES},
    "beside paper": beside_paper,
    "calibration kinds": calibration_kinds,
    "rerecordings": rerecordings("right_track"),
    "rerecordings named": rerecordings("named_right"),
    "rerecordings absent": rerecordings("named_when_absent"),
    "scale": scale,
    "granularity": granularity,
    "times": times,
    "classical": lambda: classical("right_track", paper_results.CLASSICAL),
    "classical names": lambda: classical("named_right", paper_results.CLASSICAL_THRESHOLDED),
    "by noise": groups("by_noise"),
    "by room": groups("by_room"),
    "by package": groups("by_package"),
    "open set": open_set,
    "ablation": ablation,
}


def _read(name: str) -> dict[str, Any] | None:
    try:
        return common.read(name)
    except FileNotFoundError:
        return None


def _cells(report: dict[str, Any], length_s: float, reverb: bool) -> list[dict[str, Any]]:
    found = {c["snr_db"]: c for c in report["cells"]
             if (c["length_s"], c["reverb"]) == (length_s, reverb)}  # fmt: skip
    return [found[snr] for snr in paper_results.SNRS_DB]
