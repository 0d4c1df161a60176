"""Fill the tables of README, model card and docs/results.md, and draw figures, after any benchmark.

    python -m benchmarks.report

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; the words around are the
page's own. Where a result does not exist yet the table says which command makes it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks import common, figures, paper
from benchmarks.common import markdown, percent
from benchmarks.systems import SYSTEMS
from grafprint.report import MEASURES

PAGES = tuple(
    common.ROOT / page
    for page in (
        "README.md",
        "assets/MODEL_CARD.md",
        "docs/results.md",
        "docs/reliability.md",
        "docs/performance.md",
        "docs/app.md",
        "docs/scan.md",
    )
)


def grid(reverb: bool) -> str:
    """Table II: a row a length and system, a column an SNR, right track within 50 ms."""
    reports = {name: _read(f"table2-{name}") for name in SYSTEMS}
    reports |= {"released": _read("table2-released")}
    titles = {name: s.title for name, s in SYSTEMS.items()} | {"released": "GraFPrint, released"}

    def rows() -> Iterator[list[str]]:
        for length in paper.LENGTHS_S:
            for name, report in reports.items():
                if report:
                    cells = _cells(report, length, reverb)
                    yield [f"{length:g} s", titles[name], *(percent(c["hit_50ms"]) for c in cells)]
            values = paper.TABLE_II["grafprint"][length][int(reverb)]
            yield [f"{length:g} s", "*paper: GraFPrint*", *(f"*{v:.1f}*" for v in values)]

    if not any(reports.values()):
        raise FileNotFoundError("benchmarks.table2")
    return markdown(["query", "system", *(f"{s:g} dB" for s in paper.SNRS_DB)], rows())


def released(measure: str) -> Callable[[], str]:
    """The released network: a row a length and reverb, a column an SNR, and what was searched."""

    def table() -> str:
        report = common.read("table2-released")
        config = report["config"]
        rows = [
            [f"{length:g} s", "yes" if reverb else "no",
             *(percent(c[measure]) for c in _cells(report, length, reverb))]
            for length in config["lengths_s"] for reverb in config["reverbs"]
        ]  # fmt: skip
        searched = (
            f"{report['references']:,} references, {report['fingerprints']:,} fingerprints; "
            f"{config['queries']} queries a cell, cut from {report['query_tracks']} test tracks."
        )
        header = ["query", "reverb", *(f"{s:g} dB" for s in paper.SNRS_DB)]
        return f"{markdown(header, rows)}\n\n{searched}"

    return table


def scale() -> str:
    """Table III: the library grows; 1 s, noise and reverb."""
    rows = []
    for name in ("released", *SYSTEMS):
        for report in (_read(f"table3-{name}") or {"sizes": []})["sizes"]:
            cells = _cells(report, 1.0, True)
            rows.append([f"{report['fingerprints']:,}", name,
                         *(percent(c["hit_50ms"]) for c in cells)])  # fmt: skip
    if not rows:
        raise FileNotFoundError("benchmarks.table3")
    for name, values in paper.TABLE_III.items():
        rows.append(["*fma-large*", f"*paper: {name}*", *(f"*{v:.1f}*" for v in values)])
    return markdown(["fingerprints", "system", *(f"{s:g} dB" for s in paper.SNRS_DB)], rows)


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
    """How far off the times are."""
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
    """The released network and classical programs: a row a program and condition."""
    report = common.read("table2-released")
    rows = []
    for snr, reverb in next(iter(theirs.values())):
        condition = f"{snr:g} dB{' and reverb' if reverb else ''}"
        cells = [c for c in report["cells"] if (c["snr_db"], c["reverb"]) == (snr, reverb)]
        cells.sort(key=lambda c: c["length_s"])
        rows.append([condition, "GraFPrint", *(percent(c[measure]) for c in cells)])
        for name, rates in theirs.items():
            rows.append([condition, name, *(str(rate) for rate in rates[snr, reverb])])
    return markdown(["", "program", *(f"{s:g} s" for s in paper.LENGTHS_S)], rows)


def groups(key: str) -> Callable[[], str]:
    """Hit rates by kind of noise, room or package, worst first."""

    def table() -> str:
        found = common.read("table2-released")[key]
        order = sorted(found, key=lambda name: found[name]["1 s"]["right_track"][0])
        header = ["", "queries", *(f"{length}, {what}" for length in ("1 s", "5 s")
                                   for what in ("right track", "within 50 ms"))]  # fmt: skip
        return markdown(header, (
            [name, str(found[name]["1 s"]["queries"]),
             *(percent(found[name][length][what]) for length in ("1 s", "5 s")
               for what in ("right_track", "hit_50ms"))]
            for name in order
        ))  # fmt: skip

    return table


def open_set() -> str:
    """How many names are given, right and wrong ones, as more is asked of an answer."""
    header = ["query", "confidence asked for", "present: named right", "present: named wrong",
              "absent: named"]  # fmt: skip
    return markdown(header, (
        [f"{row['length_s']:g} s", f"{100 * row['sure']:.1f} %",
         *(percent(row[key]) for key in ("found", "wrong_when_present", "wrong_when_absent"))]
        for row in common.read("table2-released")["open_set"]["curve"]
    ))  # fmt: skip


def load() -> str:
    """Answers, waits and memory of the app with many clients."""
    found = common.read("app_load")
    memory = found["memory_mb_by_minute"]
    rows = [
        [endpoint, str(found["answers"][endpoint]), f"{found['median_s'][endpoint]:.1f} s",
         f"{found['p95_s'][endpoint]:.1f} s"]
        for endpoint in found["answers"]
    ]  # fmt: skip
    return (
        f"{markdown(['', 'answers', 'median wait', '95 % waited less than'], rows)}\n\n"
        f"{found['clients']} clients for {found['minutes']:g} minutes: {found['failed']} answers "
        f"failed, {found['not_their_own']} were not the client's own. Memory of the server in the "
        f"first minute {memory[0]:.0f} MB, in the last {memory[-1]:.0f} MB."
    )


def encoding() -> str:
    """Ways to run the network on the processor."""
    found = common.read("encoding")
    names = {"fp32": "float32", "bf16": "bfloat16"}
    rows = [
        [r["runtime"], names[r["precision"]], f"{r['segments_per_s']:.0f}",
         f"{r['times_real_time']:.1f}", f"{r['query_5s_s']:.2f} s",
         f"{100 * r['share_of_plain_products']:.0f} %"]
        for r in found["rows"]
    ]  # fmt: skip
    header = ["run by", "precision", "segments a second", "times real time", "a query of 5 s",
              "of plain products"]  # fmt: skip
    peaks = " and ".join(f"{rate:.0f} in {names[p]}" for p, rate in found["plain_gflops"].items())
    operations = found["operations_per_segment"] / 1e9
    return (
        f"{markdown(header, rows)}\n\n{operations:.2f} billion operations a segment ("
        f"{found['operations_per_segment_once'] / 1e9:.2f} reading once); plain "
        f"products of the same sizes reach {peaks} (billions a second)."
    )


def gpu() -> str:
    """What a GPU does."""
    found = common.read("gpu")
    rows = [
        [name, f"{r['segments_per_s']:,.0f}", f"{r['times_real_time']:,.0f}",
         f"{100 * r['share_of_peak']:.1f} %", f"{r['least_cosine_to_cpu']:.4f}"]
        for name, r in found["encoding"].items()
    ]  # fmt: skip
    header = ["bfloat16", "segments a second", "times real time", "of the peak",
              "least cosine to the processor's"]  # fmt: skip
    training, index = found["training"], found["index"]
    indexed = f"An index of {index['fingerprints']:,}: {index['processor_s']:.0f} s"
    if "gpus_s" in index:
        same = f"{100 * index['same']:.1f} % of the nearest the same"
        indexed += f", with FAISS's GPUs {index['gpus_s']:.0f} s and {same}"
    return (
        f"{markdown(header, rows)}\n\n{found['device']}, {found['peak_tflops']:.0f} trillion "
        f"operations a second in plain products. Training with a batch of {training['batch']}: "
        f"{training['pairs_per_s']:,.0f} pairs a second, "
        f"{100 * training['share_of_peak']:.1f} % of the peak. {indexed}."
    )


def once() -> str:
    """The encoder that reads a recording once beside the paper's, on the same budget."""
    rows = []
    for name in ("grafprint", "sliding"):
        result = common.read(f"table2-{name}")
        for reverb in (False, True):
            for length in (1.0, 2.0, 5.0):
                cells = _cells(result, length, reverb)
                heard = "noise and reverb" if reverb else "noise"
                hits = [percent(c["hit_50ms"]) for c in cells]
                rows.append([SYSTEMS[name].title, heard, f"{length:g} s", *hits])
    return markdown(["encoder", "", "query", *(f"{s:g} dB" for s in paper.SNRS_DB)], rows)


def indexes() -> str:
    """Kinds of index on real fingerprints."""
    found = common.read("index_choice")
    per_hour = found["fingerprints"] / found["hours"] / 1e6
    rows = [
        [f"`{r['factory']}`", f"{r['bytes']:.0f}", f"{r['bytes'] * per_hour:.2f}",
         f"{r['built_s']:.1f}", "-" if r["nprobe"] is None else str(r["nprobe"]),
         f"{100 * r['recall_of_exact']:.1f} %", percent(r["hit_50ms"]),
         f"{1000 * r['query_s']:.1f} ms",
         "-" if r["tuned_nprobe"] is None else str(r["tuned_nprobe"])]
        for r in found["rows"]
    ]  # fmt: skip
    header = ["index", "bytes a fingerprint", "MB an hour of audio", "built in (s)", "lists probed",
              "of exact hits", "hits", "a query of 5 s", "tuned to"]  # fmt: skip
    return markdown(header, rows)


def thinned() -> str:
    """An index of fewer fingerprints."""
    rows = common.read("index_choice")["thinned"]
    lengths = list(rows[0]["hit_50ms"])
    header = [
        "a fingerprint every",
        "MB an hour of audio",
        *(f"hits, {length} s" for length in lengths),
    ]
    return markdown(header, (
        [*(("exact search", "-") if r["hop_s"] is None else
           (f"{1000 * r['hop_s']:.0f} ms", f"{r['bytes_per_hour'] / 1e6:.2f}")),
         *(percent(r["hit_50ms"][length]) for length in lengths)]
        for r in rows
    ))  # fmt: skip


def library_sizes() -> str:
    """Memory, time and hits as a library grows."""

    def cells(r: dict[str, Any]) -> Iterator[str]:
        yield f"{r['fingerprints']:,}"
        yield f"`{r['factory']}`"
        tuning = r["tuning"]
        yield f"{tuning['nprobe']}, {tuning['neighbours']}" if tuning else "all"
        yield f"{r['open_s']:.2f} s, {r['first_query_s']:.1f} s"
        yield f"{r['idle_mb']:.0f}, {r['searched_mb']:.0f}"
        yield f"{1000 * r['query_s']:.1f} ms"
        yield f"{1000 * r['search_s']:.1f} ms"
        yield percent(r["hit_50ms"])
        yield "-" if r["recall_of_exact"] is None else f"{100 * r['recall_of_exact']:.1f} %"
        yield f"{r['indexed'] / r['indexed_s']:,.0f}" if r["indexed"] else "-"

    header = ["fingerprints", "index", "lists, neighbours", "opened, first query",
              "MB: opened, in use", "a query of 5 s", "FAISS's part", "hits", "of exact hits",
              "indexed a second"]  # fmt: skip
    return markdown(header, (list(cells(row)) for row in common.read("scale")["rows"]))


def building() -> str:
    """How fast files become a library."""
    found = common.read("building")
    memory = ", ".join(f"{mb:.0f}" for mb in found["memory_mb"])
    rows = [
        ["hours of audio an hour", f"{found['times_real_time']:.1f}"],
        ["of that time: encoding alone takes", f"{100 * found['share_encoding']:.0f} %"],
        ["of that time: decoding alone takes", f"{100 * found['share_decoding']:.0f} %"],
        ["memory at each quarter (MB)", memory],
        ["library on the disk (MB an hour of audio)",
         f"{found['bytes_per_hour_of_audio'] / 1e6:.1f}"],
        ["index: fingerprints trained and added a second",
         f"{found['fingerprints_indexed_per_s']:,.0f}"],
    ]  # fmt: skip
    return markdown([f"{found['tracks']} files, {found['hours']:.1f} h", ""], rows)


def startup() -> str:
    """How long programs take to begin."""
    rows = common.read("startup")["rows"]
    return markdown(["", "seconds", "most memory (MB)"], (
        [name, f"{row['seconds']:.2f}", f"{row['mb']:.0f}"] for name, row in rows.items()
    ))  # fmt: skip


def scans() -> str:
    """Plays found in mixes, and how far off their ends are."""
    header = ["mix", "hours", "parts", "precision", "recall", "beginning off by", "end off by"]
    rows = common.read("scan")["rows"]
    return markdown(header, (
        [name, f"{row['hours']:.1f}", str(row["parts"]), percent(row["precision"]),
         percent(row["recall"]), f"{row['median_start_error_s']:.2f} s",
         f"{row['median_end_error_s']:.2f} s"]
        for name, row in rows.items()
    ))  # fmt: skip


def waits(key: str, title: str) -> Callable[[], str]:
    """What a visitor of the app waits for, or what an answer is made of."""

    def table() -> str:
        seconds = common.read("app_speed")[key]
        return markdown([title, "median"], (
            [name, f"{s:.2f} s" if s >= 0.1 else f"{1000 * s:.0f} ms"]
            for name, s in seconds.items()
        ))  # fmt: skip

    return table


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


TABLES: dict[str, Callable[[], str]] = {
    "noise": lambda: grid(reverb=False),
    "reverb": lambda: grid(reverb=True),
    **{f"released {measure}": released(measure) for measure in MEASURES},
    "scale": scale,
    "granularity": granularity,
    "times": times,
    "classical": lambda: classical("right_track", paper.CLASSICAL),
    "classical names": lambda: classical("named_right", paper.CLASSICAL_THRESHOLDED),
    "by noise": groups("by_noise"),
    "by room": groups("by_room"),
    "by package": groups("by_package"),
    "open set": open_set,
    "load": load,
    "encoding": encoding,
    "gpu": gpu,
    "once": once,
    "indexes": indexes,
    "thinned": thinned,
    "library sizes": library_sizes,
    "building": building,
    "startup": startup,
    "scans": scans,
    "waits": waits("seconds", "what a visitor waits for"),
    "answer": waits("answer_parts_s", "an answer to a clip of 7 s, on the server"),
    "ablation": ablation,
}


def filled(text: str) -> str:
    """The page with every table made anew. KeyError for a table of unknown name."""

    def table(match: re.Match[str]) -> str:
        try:
            body = TABLES[match[1]]()
        except FileNotFoundError:
            body = "*Not measured yet.*"
        return f"<!-- table: {match[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table: ([\w ]+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def _read(name: str) -> dict[str, Any] | None:
    try:
        return common.read(name)
    except FileNotFoundError:
        return None


def _cells(report: dict[str, Any], length_s: float, reverb: bool) -> list[dict[str, Any]]:
    found = {c["snr_db"]: c for c in report["cells"]
             if (c["length_s"], c["reverb"]) == (length_s, reverb)}  # fmt: skip
    return [found[snr] for snr in paper.SNRS_DB]


def main() -> None:
    """Fill the pages in place, and draw the figures."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"written: {page.relative_to(common.ROOT)}")
    print(f"figures: {', '.join(figures.draw())}")


if __name__ == "__main__":
    main()
