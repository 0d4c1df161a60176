"""The figures of docs/results.md, from benchmarks/results/; drawn by benchmarks.report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.shared import common, paper_results
from benchmarks.shared.systems import SYSTEMS

COLOURS = {"released": "#111111", "grafprint": "#0b6e99", "nafp": "#c8553d",
           "te-lsh": "#588157", "te-ht": "#a3b18a", "ast": "#8d6a9f"}  # fmt: skip
TITLES = {name: system.title for name, system in SYSTEMS.items()}
TITLES["released"] = "GraFPrint, released"


def existing(prefix: str) -> dict[str, dict[str, Any]]:
    """The results of a benchmark by system, for the systems that were measured."""
    found = {}
    for name in COLOURS:
        try:
            found[name] = common.read(f"{prefix}-{name}")
        except FileNotFoundError:
            continue
    if not found:
        raise FileNotFoundError(f"benchmarks.{prefix}")
    return found


def systems() -> Figure:
    """Table II: hit rate against SNR, a column per query length, a row without and with reverb.

    The systems share one budget, so the released network is left out.
    """
    reports = {name: r for name, r in existing("table2").items() if name != "released"}
    if not reports:
        raise FileNotFoundError("benchmarks.table2 --models")
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplots(2, len(paper_results.LENGTHS_S), sharex=True, sharey=True)
    for row, reverb in enumerate((False, True)):
        for panel, length in zip(panels[row], paper_results.LENGTHS_S, strict=True):
            for name, report in reports.items():
                cells = [
                    c for c in report["cells"] if (c["length_s"], c["reverb"]) == (length, reverb)
                ]
                rates = [c["hit_50ms"] for c in cells]
                errorbar(panel, [c["snr_db"] for c in cells], rates, name)
            panel.grid(alpha=0.3)
            if row == 0:
                panel.set_title(f"{length:g} s")
    panels[0][0].set_ylabel("noise: hits (%)")
    panels[1][0].set_ylabel("noise and reverb: hits (%)")
    for panel in panels[1]:
        panel.set_xlabel("SNR (dB)")
    panels[1][-1].legend(fontsize=8, loc="lower right")
    return figure


def scale() -> Figure:
    """Table III: hit rate against the size of the library."""
    reports = existing("table3")
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, reverb in zip(panels, (False, True), strict=True):
        for name, report in reports.items():
            sizes = [r["fingerprints"] for r in report["sizes"]]
            for length, style in ((1.0, "-"), (2.0, "--")):
                cells = [
                    c
                    for r in report["sizes"]
                    for c in r["cells"]
                    if (c["length_s"], c["reverb"], c["snr_db"]) == (length, reverb, 10.0)
                ]
                errorbar(panel, sizes, [c["hit_50ms"] for c in cells], name, style,
                         f"{TITLES[name]}, {length:g} s")  # fmt: skip
        panel.set(xscale="log", xlabel="fingerprints",
                  title="noise and reverb, 10 dB" if reverb else "noise, 10 dB")  # fmt: skip
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("hits within 50 ms (%)")
    panels[1].legend(fontsize=8)
    return figure


def granularity() -> Figure:
    """Figure 2: hit rate against the hop, a line per tolerance, noise and reverb."""
    rows = [r for r in common.read("granularity")["rows"] if r["reverb"]]
    lengths = sorted({r["length_s"] for r in rows})
    figure = Figure(figsize=(3.6 * len(lengths), 3.4), layout="constrained")
    panels = figure.subplots(1, len(lengths), sharey=True, squeeze=False)[0]
    for panel, length in zip(panels, lengths, strict=True):
        chosen = [r for r in rows if r["length_s"] == length]
        for shade, tolerance in enumerate(chosen[0]["hits"]):
            rates = [r["hits"][tolerance] for r in chosen]
            errorbar(panel, [1000 * r["hop_s"] for r in chosen], rates, "grafprint", "-",
                     f"within {1000 * float(tolerance):g} ms", 0.35 + 0.2 * shade)  # fmt: skip
        panel.set(title=f"{length:g} s, noise and reverb, 10 dB", xlabel="hop (ms)")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("hits (%)")
    panels[-1].legend(fontsize=8)
    return figure


def reliability() -> Figure:
    """Calibration: confidence against the share that is right; false against true positives."""
    found = common.read("table2-released")["open_set"]
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], ":", color="0.6")
    bins, error = found["bins"], 100 * found["expected_calibration_error"]
    errorbar(left, [100 * b[0] for b in bins], [b[1] for b in bins], "released",
             label=f"test queries, mean error {error:.1f}")  # fmt: skip
    left.set(xlabel="confidence (%)", ylabel="answers that are right (%)")
    left.legend(fontsize=8)
    rows = found["curve"]
    for shade, length in enumerate(sorted({row["length_s"] for row in rows})):
        chosen = [row for row in rows if row["length_s"] == length]
        right.plot([100 * row["wrong_when_absent"][0] for row in chosen],
                   [100 * row["found"][0] for row in chosen], "-o", ms=3, color="#0b6e99",
                   alpha=0.35 + 0.2 * shade, label=f"{length:g} s")  # fmt: skip
    right.axvline(1, ls=":", color="0.6")
    right.set(xlabel="false positives (%)", ylabel="true positives (%)")
    right.legend(fontsize=8)
    for panel in (left, right):
        panel.grid(alpha=0.3)
    return figure


def ablation() -> Figure:
    """The effect of each change, as bars; grey: the range of the base with other seeds."""
    rows = common.read("ablation")["rows"]
    seeds = [name for name in rows if name.startswith("base")]
    names = [name for name in rows if name not in seeds]
    base = rows["base"]["scores"]
    figure = Figure(figsize=(9, 0.32 * len(names) + 1.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, key in zip(panels, ("noise", "reverb", "life"), strict=True):
        change = [100 * (rows[name]["scores"][key] - base[key]) for name in names]
        among = [100 * (rows[name]["scores"][key] - base[key]) for name in seeds]
        panel.axvspan(min(among), max(among), color="0.88")
        colours = ["#588157" if c > 0 else "#c8553d" for c in change]
        panel.barh(range(len(names)), change, color=colours)
        panel.set(yticks=range(len(names)), yticklabels=names, xlabel="points",
                  title=f"{key}: base {100 * base[key]:.1f} %")  # fmt: skip
        panel.axvline(0, color="0.3", lw=0.8)
        panel.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    return figure


def samples() -> Figure:
    """Sample identification: mAP by the length of clips, a line for each network."""
    rows = common.read("samples")["rows"]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    panel = figure.subplots()
    for name, row in rows.items():
        if not row["lengths"]:  # it was asked about whole queries only
            continue
        found = {float(length.removesuffix(" s")): scores["mean_average_precision"]
                 for length, scores in row["lengths"].items()}  # fmt: skip
        middle, low, high = (100 * np.array(part) for part in zip(*found.values(), strict=True))
        panel.errorbar(list(found), middle, [middle - low, high - middle], fmt="-o", ms=3, lw=1.2,
                       capsize=2, label=name)  # fmt: skip
    panel.set_xlabel("clip (s)")
    panel.set_ylabel("mAP (%)")
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, loc="lower right")
    return figure


def errorbar(
    panel: Axes,
    x: list[float],
    rates: list[list[float]],
    name: str,
    style: str = "-",
    label: str | None = None,
    alpha: float = 1.0,
) -> None:
    """Rates in percent with their intervals."""
    middle = [100 * r for r, _, _ in rates]
    spread = [[100 * (r - low) for r, low, _ in rates], [100 * (high - r) for r, _, high in rates]]
    panel.errorbar(x, middle, spread, fmt=f"{style}o", ms=3, lw=1.2, capsize=2, alpha=alpha,
                   color=COLOURS[name], label=label or TITLES[name])  # fmt: skip


FIGURES: dict[str, Callable[[], Figure]] = {
    "systems": systems,
    "scale": scale,
    "granularity": granularity,
    "reliability": reliability,
    "ablation": ablation,
    "samples": samples,
}


def draw() -> list[str]:
    """Draw every figure for which there are results, and return their names."""
    drawn = []
    for name, figure in FIGURES.items():
        try:
            figure().savefig(common.FIGURES / f"results-{name}.png", dpi=110)
        except FileNotFoundError:
            continue
        drawn.append(name)
    return drawn
