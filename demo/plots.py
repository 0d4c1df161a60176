"""Figures of the page, as SVG text that is readable on light and dark grounds."""

from __future__ import annotations

import io

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

GREY = "#7d8896"  # in between: contrast on white and on black


def similarity(scores: np.ndarray, start_s: float, hop_s: float, threshold: float) -> str:
    """How alike query and reference are over time: segment scores ``[m]`` (NaN: not compared).

    The horizontal axis is the time in the reference track, from ``start_s`` on.
    """
    time = start_s + hop_s * np.arange(len(scores))
    with rc_context({"svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}):
        figure = Figure(figsize=(5, 1.8), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.axhline(threshold, color="#d97706", linewidth=1, linestyle="--")
        axes.plot(time, scores, color="#0d9488", linewidth=1.8,
                  marker="o" if len(scores) < 12 else "", markersize=4)  # fmt: skip
        axes.set_ylim(min(-0.1, float(np.nanmin(scores))), 1.05)
        axes.set_xlabel("time in the track (s)", color=GREY)
        axes.set_yticks([0, 0.5, 1])
        axes.tick_params(colors=GREY)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(GREY)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    mean = float(np.nanmean(scores))
    label = f"Similarity of each second over time, {mean:.2f} on average; dashed: the threshold"
    return svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
