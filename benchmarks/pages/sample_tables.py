"""Tables of sample identification; see benchmarks.samples and benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.shared import common
from benchmarks.shared.common import markdown, rate_text

# On Sample100: mAP, HR@1, HR@10, as the papers and later ones report them; None: not reported.
PUBLISHED = {
    "Cheston et al., 2025": (0.441, None, None),
    "Bhattacharjee et al., 2025 (this method)": (0.442, 0.155, 0.191),
    "Riou et al., 2025": (0.603, 0.587, 0.733),
}
_MEASURES = {
    "mAP": ("mean_average_precision",),
    "HR@1": ("hit_rates", "1"),
    "HR@5": ("hit_rates", "5"),
    "HR@10": ("hit_rates", "10"),
    "first, and its place right": ("located",),
    "AUROC": ("area",),
    "reported rightly": ("reported",),
    "false accepts": ("false_accepts",),
}


def whole() -> str:
    """Whole queries: a row per network."""
    results = common.read("samples")
    gains = "; ".join(
        f"{name}: {100 * gain:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        for name, (gain, low, high) in results["differences"].items()
    )
    return f"{overview(results)}\n\n{_made(results)}{f' mAP, in pairs: {gains}.' if gains else ''}"


def overview(results: dict[str, Any]) -> str:
    """The figures of whole queries in results of the bench, or of Sample100."""
    rows = [
        [name, *(rate_text(_value(row["whole"], path)) for path in _MEASURES.values())]
        for name, row in results["rows"].items()
    ]
    return markdown(["row", *_MEASURES], rows)


def lengths() -> str:
    """Clips by length: mAP and false accepts of each network that was asked about them."""
    rows = []
    found = {name: r for name, r in common.read("samples")["rows"].items() if r["lengths"]}
    names = list(next(iter(found.values()))["lengths"])
    for name, row in found.items():
        for what in ("mAP", "HR@1", "false accepts"):
            values = [rate_text(_value(row["lengths"][n], _MEASURES[what])) for n in names]
            rows.append([name, what, *values])
    return markdown(["row", "", *names], rows)


def groups() -> str:
    """Whole queries by what was done to the sample: mAP of each network."""
    found = common.read("samples")["rows"]
    first = next(iter(found.values()))["groups"]
    rows = [
        [group, value, str(scores["queries"]),
         *(rate_text(row["groups"][group][value]["mean_average_precision"])
           for row in found.values())]
        for group, values in first.items() for value, scores in values.items()
    ]  # fmt: skip
    return markdown(["", "", "queries", *found], rows)


def sample100() -> str:
    """Sample100: networks that were measured here, and what papers report."""
    rows = []
    try:
        results = common.read("sample100")
    except FileNotFoundError:
        results = {"rows": {}}
    for name, row in results["rows"].items():
        values = (_value(row["whole"], _MEASURES[what]) for what in ("mAP", "HR@1", "HR@10"))
        rows.append([name, *(rate_text(value) for value in values)])
    for name, figures in PUBLISHED.items():
        rows.append([f"*{name}*", *("" if f is None else f"*{100 * f:.1f}*" for f in figures)])
    return markdown(["", "mAP", "HR@1", "HR@10"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "samples": whole,
    "samples by length": lengths,
    "samples by change": groups,
    "sample100": sample100,
}


def _made(results: dict[str, Any]) -> str:
    bench, some = results["bench"], next(iter(results["rows"].values()))["whole"]
    return (
        f"{some['queries']} queries with a sample, {some['empty']} without, "
        f"{bench['references']} references among {bench['library']:,} recordings."
    )


def _value(scores: dict[str, Any], path: tuple[str, ...]) -> list[float | None] | None:
    for key in path:
        scores = scores[key]
    return scores  # type: ignore[return-value]
