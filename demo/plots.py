"""Figures of the page: readable on light and dark backgrounds, with descriptions in words."""

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

from grafprint.models.features import FeatureConfig, mel_bin_hz

HERTZ = (100, 250, 500, 1000, 2000, 4000, 7000)  # on an axis of mel bins
GREY = "#7d8896"  # on the page: the colour of subdued text, which differs between themes
TEAL, AMBER = "#0d9488", "#d97706"


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A transparent figure, size in inches; draw on it and call :func:`svg` within the block."""
    with rc_context(
        {
            "svg.fonttype": "none",
            "font.size": 10,
            "font.family": "sans-serif",
            "text.color": GREY,
            "axes.labelcolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
        }
    ):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.patch.set_alpha(0)
        yield figure


def style_axes(axes: Axes) -> Axes:
    """Grey spines on the left and below, and no background: for both themes."""
    axes.patch.set_alpha(0)
    axes.tick_params(colors=GREY)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
    return axes


def adapt_to_themes(figure: Figure) -> Figure:
    """Make a finished figure readable in both themes: no background, grey lines and text.

    Matplotlib's settings cannot be used for this, because all threads share them.
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
    """The figure as SVG text; ``label`` describes it in words."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue().replace(GREY, f"var(--body-text-color-subdued, {GREY})")
    named = f'<svg role="img" aria-label="{escape(label)}"'
    return drawn[drawn.index("<svg") :].replace("<svg", named, 1)


def spectrogram(logmel: np.ndarray, label: str, range_db: float = 80.0) -> str:
    """A log-mel spectrogram ``[frames, mels]`` in dB as an HTML image, low frequencies below.

    Colours span ``range_db`` below its loudest point. The image fills the width available;
    ``label`` describes it in words.
    """
    level = np.clip((logmel - logmel.max()) / range_db + 1, 0, 1)
    pixels = colormaps["magma"](level.T[::-1], bytes=True)[..., :3]
    return image(pixels, label, "gp-spectrogram")


def image(pixels: np.ndarray, label: str, css_class: str = "") -> str:
    """Pixels ``[height, width, 3]`` (uint8) as an HTML image with its description."""
    return f'<img class="{css_class}" alt="{escape(label)}" src="{data_url(pixels)}">'


def hertz_ticks(config: FeatureConfig, hertz: tuple[int, ...] = HERTZ) -> list[tuple[float, str]]:
    """Mel bins and labels of round frequencies."""
    bins = np.arange(config.n_mels)
    places = np.interp(hertz, mel_bin_hz(bins, config), bins)
    return [
        (round(float(place), 2), f"{hz / 1000:g} kHz" if hz >= 1000 else f"{hz} Hz")
        for place, hz in zip(places, hertz, strict=True)
    ]


def spectrogram_url(levels: np.ndarray, brightest: int = 190) -> str:
    """Levels from 0 to 1, ``[mels, frames]``, in grey; darker than what is drawn over them."""
    grey = np.round(brightest * levels[::-1] ** 1.5).astype(np.uint8)
    return data_url(np.repeat(grey[:, :, None], 3, axis=2))


def data_url(pixels: np.ndarray) -> str:
    """Pixels ``[height, width, 3]`` (uint8) as the data URL of a PNG."""
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def alignment(
    clip: np.ndarray,
    reference: np.ndarray,
    scores: np.ndarray,
    features: FeatureConfig,
    threshold: float,
    start_s: float,
) -> str:
    """The clip, the track from the matched moment on, and the score of each segment, as SVG.

    ``clip`` and ``reference`` are log-mel spectrograms ``[frames, mels]`` in dB, ``scores [m]``
    the segments' scores (NaN: not compared), ``start_s`` where in the track the clip begins.
    """
    frame_s = features.hop_length / features.sample_rate_hz
    length_s = len(clip) * frame_s
    with drawing(6, 4.2) as figure:
        panels = figure.subplots(3, 1, height_ratios=(2, 2, 1.5))
        for axes, logmel, first_s, title in (
            (panels[0], clip, 0.0, "your clip"),
            (panels[1], reference, start_s, "the track"),
        ):
            style_axes(axes).imshow(
                logmel.T,
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=logmel.max() - features.dynamic_range_db,
                vmax=logmel.max(),
                extent=(first_s, first_s + len(logmel) * frame_s, 0, logmel.shape[1]),
            )
            axes.set_xlim(first_s, first_s + length_s)
            axes.set_yticks([])
            axes.set_ylabel(title)
        time_s = features.window_s / 2 + features.hop_s * np.arange(len(scores))
        below = style_axes(panels[2])
        below.axhline(threshold, color=AMBER, linewidth=1, linestyle="--")
        below.plot(
            time_s,
            scores,
            color=TEAL,
            linewidth=1.8,
            marker="o" if len(scores) < 12 else "",
            markersize=4,
        )
        below.set_ylim(min(-0.1, float(np.nanmin(scores))), 1.05)
        below.set_xlim(0, length_s)
        below.set_yticks([0, 0.5, 1])
        below.set_ylabel("similarity")
        below.set_xlabel("seconds")
        mean = float(np.nanmean(scores))
        return svg(
            figure,
            "Spectrograms of the clip and of the track from the matched moment on, one above the "
            f"other; below, their similarity over time: {mean:.2f} on average; dashed: the "
            f"threshold of {threshold:.2f}",
        )
