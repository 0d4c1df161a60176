"""Figures of the page, readable on light and dark grounds and told in words to who cannot see."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

GREY = "#7d8896"  # in between: contrast on white and on black
TEAL, AMBER = "#0d9488", "#d97706"


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A transparent figure of so many inches, to be drawn on and passed to :func:`svg` within."""
    with rc_context({"svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        yield figure


def plain(axes: Axes) -> Axes:
    """Grey lines left and below, no ground: for both themes."""
    axes.patch.set_alpha(0)
    axes.tick_params(colors=GREY)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
    return axes


def greyed(figure: Figure) -> Figure:
    """A finished figure made fit for both themes: no ground, and grey for lines and words.

    Not by matplotlib's settings, which all threads share.
    """
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.tick_params(colors=GREY)
        for spine in axes.spines.values():
            spine.set_color(GREY)
        if (legend := axes.get_legend()) is not None:
            legend.get_frame().set(facecolor="none", edgecolor=GREY)
    for text in figure.findobj(Text):
        text.set_color(GREY)
    return figure


def svg(figure: Figure, label: str) -> str:
    """The figure as SVG text; ``label`` is what it shows, in words."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    named = f'<svg role="img" aria-label="{escape(label)}"'
    return drawn[drawn.index("<svg") :].replace("<svg", named, 1)


def spectrogram(logmel: np.ndarray, label: str, range_db: float = 80.0) -> str:
    """A log-mel spectrogram ``[frames, mels]`` in dB as an HTML image, low frequencies below.

    Colours span ``range_db`` below its loudest point. It fills the width of its place; ``label``
    is what it shows, in words.
    """
    level = np.clip((logmel - logmel.max()) / range_db + 1, 0, 1)
    pixels = colormaps["magma"](level.T[::-1], bytes=True)[..., :3]
    return image(pixels, label, "gp-spectrogram")


def image(pixels: np.ndarray, label: str, css_class: str = "") -> str:
    """Pixels ``[height, width, 3]`` (uint8) as an HTML image with its description."""
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "PNG")
    code = base64.b64encode(data.getvalue()).decode()
    return (
        f'<img class="{css_class}" alt="{escape(label)}" src="data:image/png;base64,{code}">'
    )  # fmt: skip


def similarity(scores: np.ndarray, start_s: float, hop_s: float, threshold: float) -> str:
    """How alike query and reference are over time: segment scores ``[m]`` (NaN: not compared).

    The horizontal axis is the time in the reference track, from ``start_s`` on.
    """
    time = start_s + hop_s * np.arange(len(scores))
    with drawing(5, 1.8) as figure:
        axes = plain(figure.subplots())
        axes.axhline(threshold, color=AMBER, linewidth=1, linestyle="--")
        axes.plot(time, scores, color=TEAL, linewidth=1.8,
                  marker="o" if len(scores) < 12 else "", markersize=4)  # fmt: skip
        axes.set_ylim(min(-0.1, float(np.nanmin(scores))), 1.05)
        axes.set_xlabel("time in the track (s)", color=GREY)
        axes.set_yticks([0, 0.5, 1])
        mean = float(np.nanmean(scores))
        label = f"Similarity of each second over time, {mean:.2f} on average; dashed: the threshold"
        return svg(figure, label)
