"""Tables of times and memory; see benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.shared import common, paired_comparison
from benchmarks.shared.common import markdown
from grafprint.evaluation.intervals import percent

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16"}


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
        f"{markdown(['', 'answers', 'median wait', '95th percentile'], rows)}\n\n"
        f"{found['clients']} clients for {found['minutes']:g} minutes: {found['failed']} answers "
        f"failed, {found['not_their_own']} were not the client's own. Memory of the server: "
        f"{memory[0]:.0f} MB in the first minute, {memory[-1]:.0f} MB in the last."
    )


def encoding() -> str:
    """Ways to run the network on the CPU."""
    found = common.read("encoding")
    rows = [
        [r["runtime"], PRECISIONS[r["precision"]], f"{r['segments_per_s']:.0f}",
         f"{r['times_real_time']:.1f}", f"{r['query_5s_s']:.2f} s",
         f"{100 * r['share_of_plain_products']:.0f} %"]
        for r in found["rows"]
    ]  # fmt: skip
    header = ["run by", "precision", "segments per second", "times real time", "query of 5 s",
              "share of plain products"]  # fmt: skip
    peaks = " and ".join(
        f"{rate:.0f} in {PRECISIONS[p]}" for p, rate in found["plain_gflops"].items()
    )
    operations = found["operations_per_segment"] / 1e9
    return (
        f"{markdown(header, rows)}\n\n{operations:.2f} billion operations per segment ("
        f"{found['operations_per_segment_once'] / 1e9:.2f} reading once); plain "
        f"products of the same sizes reach {peaks} (billions per second)."
    )


def precisions() -> str:
    """Hits in float32 and bfloat16."""
    found = common.read("precisions")
    return paired_comparison.table(found, [PRECISIONS[p] for p in found["precisions"]])


def fast_library() -> str:
    """Hits in a library by the fast network."""
    found, names = common.read("fast_library"), ["library by GraFPrint", "by the fast network"]
    rows = [
        [
            f"{own['length_s']:g} s",
            *(percent(r[key]) for key in ("found", "wrong_when_absent") for r in (own, fast)),
        ]
        for own, fast in zip(*found["named"], strict=True)
    ]
    header = [
        "query",
        *(f"{what}, {name}" for what in ("true positives", "false positives") for name in names),
    ]
    return f"{paired_comparison.table(found, names)}\n\n{markdown(header, rows)}"


def parts() -> str:
    """Milliseconds per segment by kind of work, for each way to run the network."""
    found = common.read("parts")["rows"]
    header = ["", *(f"{r['runtime']}, {PRECISIONS[r['precision']]}" for r in found)]
    rows = [[part, *(f"{r['ms'][part]:.2f}" for r in found)] for part in found[0]["ms"]]
    return markdown(header, [*rows, ["total", *(f"{sum(r['ms'].values()):.2f}" for r in found)]])


def gpu() -> str:
    """Speed on a GPU."""
    found = common.read("gpu")
    rows = [
        [name, f"{r['segments_per_s']:,.0f}", f"{r['times_real_time']:,.0f}",
         f"{100 * r['share_of_peak']:.1f} %", f"{r['least_cosine_to_cpu']:.4f}"]
        for name, r in found["encoding"].items()
    ]  # fmt: skip
    header = ["bfloat16", "segments per second", "times real time", "share of the peak",
              "smallest cosine similarity to the CPU's"]  # fmt: skip
    training, index = found["training"], found["index"]
    indexed = f"An index of {index['fingerprints']:,}: {index['processor_s']:.0f} s"
    if "gpus_s" in index:
        same = f"{100 * index['same']:.1f} % of the nearest neighbours equal"
        indexed += f", with FAISS on GPUs {index['gpus_s']:.0f} s and {same}"
    layers = "; ".join(
        f"{way}, {r['neighbours_ms']:.1f} ms for the neighbours and "
        f"{r['maxima_and_gradients_ms']:.1f} ms for their maxima and gradients"
        for way, r in found["layers"].items()
    )
    return (
        f"{markdown(header, rows)}\n\nThe graphs of a first-stage block, for as many segments as "
        f"are encoded at once: {layers}.\n\n"
        f"{found['device']}, {found['peak_tflops']:.0f} trillion "
        f"operations per second in plain products. Training with a batch of {training['batch']}: "
        f"{training['pairs_per_s']:,.0f} pairs per second, "
        f"{100 * training['share_of_peak']:.1f} % of the peak. {indexed}."
    )


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
    header = ["index", "bytes per fingerprint", "MB per hour of audio", "built in (s)",
              "lists probed", "of exact hits", "hits", "query of 5 s", "tuned to"]  # fmt: skip
    return markdown(header, rows)


def thinned() -> str:
    """Indexes of fewer fingerprints."""
    rows = common.read("index_choice")["thinned"]
    lengths = list(rows[0]["hit_50ms"])
    header = [
        "a fingerprint every",
        "MB per hour of audio",
        *(f"hits, {length} s" for length in lengths),
    ]
    return markdown(header, (
        [*(("exact search", "-") if r["hop_s"] is None else
           (f"{1000 * r['hop_s']:.0f} ms", f"{r['bytes_per_hour'] / 1e6:.2f}")),
         *(percent(r["hit_50ms"][length]) for length in lengths)]
        for r in rows
    ))  # fmt: skip


def rotations() -> str:
    """Rotations of fingerprints before they are encoded."""
    rows = common.read("index_choice")["rotations"]
    return markdown(
        ["rotation", "computed in (s)", "error of the codes"],
        ([r["rotation"], f"{r['found_s']:.1f}", f"{r['error']:.3f}"] for r in rows),
    )


def library_sizes() -> str:
    """Memory, time and hits as a library grows."""
    found = common.read("scale")

    def of_exact(r: dict[str, Any]) -> str:
        compared = r.get("compared_with_exact", found["queries"])
        some = "" if compared == found["queries"] else f", of {compared} queries"
        return "-" if r["recall_of_exact"] is None else f"{100 * r['recall_of_exact']:.1f} %{some}"

    def cells(r: dict[str, Any]) -> Iterator[str]:
        yield f"{r['fingerprints']:,}"
        yield f"`{r['factory']}`"
        tuning = r["tuning"]
        yield f"{tuning['nprobe']}, {tuning['neighbours']}" if tuning else "all"
        yield f"{r['open_s']:.2f} s, {r['first_query_s']:.1f} s"
        yield f"{r['idle_mb']:.0f}, {r['searched_mb']:.0f}"
        yield f"{1000 * r['query_s']:.1f}, {1000 * r['again_s']:.1f} ms"
        yield f"{1000 * r['search_s']:.1f} ms"
        ways = [r[f"{way}_cpu_s"] for way in ("exact", "codes") if f"{way}_cpu_s" in r]
        yield ", ".join(f"{1000 * cpu_s:.1f}" for cpu_s in ways) + " ms" if ways else "-"
        yield percent(r["hit_50ms"])
        yield of_exact(r)
        yield f"{r['same_by_all_candidates']} of {found['queries']}"
        yield f"{r['indexed'] / r['indexed_s']:,.0f}" if r["indexed"] else "-"
        yield f"{r['indexing_mb']:.0f}" if r["indexed"] else "-"

    header = ["fingerprints", "index", "lists, neighbours", "opened, first query",
              "MB: opened, in use", "query of 5 s, again", "FAISS's part",
              "CPU time: exact, codes", "hits", "of exact hits", "same by all candidates",
              "indexed per second", "MB to index"]  # fmt: skip
    return markdown(header, (list(cells(row)) for row in found["rows"]))


def building() -> str:
    """Speed of building a library from files."""
    found = common.read("building")
    ways = [found["bundled"], found["fast"]]
    rows = [
        ["hours of audio per hour", *(f"{w['times_real_time']:.1f}" for w in ways)],
        *([f"share of that time for {part} alone",
           *(f"{100 * w[f'share_{part}']:.0f} %" for w in ways)]
          for part in ("encoding", "decoding")),
        ["memory after each quarter (MB)",
         *(", ".join(f"{mb:.0f}" for mb in w["memory_mb"]) for w in ways)],
        ["library on disk (MB per hour of audio)",
         *(f"{w['bytes_per_hour_of_audio'] / 1e6:.1f}" for w in ways)],
        ["index: fingerprints trained and added per second",
         *(f"{w['fingerprints_indexed_per_s']:,.0f}" for w in ways)],
        ["index: memory to build it (MB)", *(f"{w['indexing_mb']:.0f}" for w in ways)],
    ]  # fmt: skip
    header = [f"{ways[0]['tracks']} files, {ways[0]['hours']:.1f} h", "GraFPrint", "`--fast`"]
    return markdown(header, rows)


def startup() -> str:
    """Start-up times."""
    rows = common.read("startup")["rows"]
    return markdown(
        ["", "seconds", "peak memory (MB)"],
        ([name, f"{row['seconds']:.2f}", f"{row['mb']:.0f}"] for name, row in rows.items()),
    )


def scans() -> str:
    """Plays found in mixes, and the errors of their starts and ends."""
    header = ["mix", "hours", "parts", "precision", "recall", "start error", "end error"]
    rows = common.read("scan")["rows"]
    return markdown(header, (
        [name, f"{row['hours']:.1f}", str(row["parts"]), percent(row["precision"]),
         percent(row["recall"]), f"{row['median_start_error_s']:.2f} s",
         f"{row['median_end_error_s']:.2f} s"]
        for name, row in rows.items()
    ))  # fmt: skip


def other_speeds() -> str:
    """What is found of music that is played faster or slower."""
    header = ["played", "`scan`", "`scan --other-speeds`", "fingerprints", "`identify`",
              "`identify --other-speeds`"]  # fmt: skip
    rows = common.read("speed")["rows"]
    lines = []
    for row in sorted(rows, key=lambda row: float(row["speed"])):
        parts, ways = row["parts"], ("plain", "other_speeds")
        found = [f"{round(row[way]['recall'][0] * parts)} of {parts}" for way in ways]
        named = [f"{round(row['identified'][way][0] * parts)} of {parts}" for way in ways]
        asked = [row[way]["fingerprints"] for way in ways]
        speed = f"{100 * (row['speed'] - 1):+.0f} %" if row["speed"] != 1 else "as it is"
        lines.append([speed, *found, f"{asked[1] / asked[0]:.1f} times as many", *named])
    return markdown(header, lines)


def unknown_music() -> str:
    """Wrong plays, and how many there were chances of."""
    found = common.read("speed")
    rows, unknown = found["rows"], found["unknown"]
    plays = {way: sum(row[way]["plays"] for row in rows) for way in ("plain", "other_speeds")}
    wrong = {way: sum(row[way]["wrong"] for row in rows) for way in ("plain", "other_speeds")}
    return (
        f"Wrong plays in these mixes: {wrong['plain']} of {plays['plain']}; with other speeds "
        f"{wrong['other_speeds']} of {plays['other_speeds']}. In {60 * unknown['hours']:.0f} "
        f"minutes of other music, none of it in a library of {unknown['library']:,} fingerprints: "
        f"{unknown['plain']}; with other speeds {unknown['other_speeds']}."
    )


def kept_pitch() -> str:
    """What is identified of music whose tempo alone was changed."""
    return markdown(["tempo alone", "`identify`"], (
        [f"{100 * (row['tempo'] - 1):+.0f} %", f"{row['identified']} of {row['parts']}"]
        for row in common.read("speed")["tempos"]
    ))  # fmt: skip


def waits(key: str, title: str) -> Callable[[], str]:
    """Waiting times of a visitor of the app, or the parts of an answer."""

    def table() -> str:
        seconds = common.read("app_speed")[key]
        return markdown([title, "median"], (
            [name, f"{s:.2f} s" if s >= 0.1 else f"{1000 * s:.0f} ms"]
            for name, s in seconds.items()
        ))  # fmt: skip

    return table


TABLES: dict[str, Callable[[], str]] = {
    "load": load,
    "encoding": encoding,
    "precisions": precisions,
    "fast library": fast_library,
    "parts": parts,
    "gpu": gpu,
    "indexes": indexes,
    "thinned": thinned,
    "rotations": rotations,
    "library sizes": library_sizes,
    "building": building,
    "startup": startup,
    "scans": scans,
    "other speeds": other_speeds,
    "unknown music": unknown_music,
    "kept pitch": kept_pitch,
    "waits": waits("seconds", "waiting time of a visitor"),
    "answer": waits("answer_parts_s", "an answer to a clip of 7 s, on the server"),
}
