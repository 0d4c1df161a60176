"""A block's graphs as a figure for a paper or a slide: clean beside degraded, with the edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from demo.graph import data as graph_data
from demo.graph.scene import SegmentView
from demo.plots import hertz_ticks
from grafprint.explore.graphs import NodeGraph, compare
from grafprint.models.features import FeatureConfig

_STYLES: dict[str, Any] = {"survived": "-", "vanished": "--", "appeared": ":"}
_LEGEND = {"survived": "in both", "vanished": "vanished", "appeared": "appeared"}
_LABELS = {
    "degree": "in-degree",
    "cluster": "cluster, from low to high frequency",
    "change": "change by the block, relative to the node's length",
}


def save(
    path: Path, view: SegmentView, config: FeatureConfig, block: int, colour: str, node: int | None
) -> None:
    """Draw a block of a segment to a PNG or SVG file, by its suffix.

    Nodes are coloured by ``colour``: degree, cluster or change. The edges are those of ``node``, or
    all if that is None.
    """
    clean, degraded = (graphs[block] for graphs in view.graphs)
    changes = compare(clean, degraded)
    sides = ((clean, "vanished", changes.vanished), (degraded, "appeared", changes.appeared))
    with rc_context({"svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}):
        figure = Figure(figsize=(10, 5.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        colours = _colours(clean, degraded, colour)
        for panel, number, (graph, kind, own) in zip(panels, (0, 1), sides, strict=True):
            _draw_spectrogram(panel, view.amplitude[number], config)
            _draw_cells(panel, graph, config)
            for name, edges in ((kind, own), ("survived", changes.survived)):
                _draw_edges(panel, graph, _edges_from(edges, node), name)
            _draw_nodes(panel, graph, colours.to_rgba(getattr(graph, colour)), node)
            panel.set_title(view.names[number], loc="left", fontsize=9)
        bar = figure.colorbar(colours, ax=panels, label=_LABELS[colour], shrink=0.8)
        ticks = scale_ticks(clean, degraded, colour)
        bar.set_ticks(list(ticks), labels=list(ticks.values()))
        bar.minorticks_off()
        figure.legend(
            [Line2D([], [], color=graph_data.EDGES[k], linestyle=s) for k, s in _STYLES.items()],
            list(_LEGEND.values()),
            loc="outside lower center",
            ncols=3,
            facecolor="#26262b",
            labelcolor="white",
        )
        blocks = len(view.graphs[0])
        figure.suptitle(
            f"{graph_data.title(clean, blocks)}; {changes.share:.0%} of the edges survived",
            fontsize=10,
        )
        figure.savefig(path, dpi=160, metadata={"Date": None} if path.suffix == ".svg" else None)


def _edges_from(edges: np.ndarray, node: int | None) -> np.ndarray:
    return edges if node is None else edges[edges[:, 0] == node]


def _colours(clean: NodeGraph, degraded: NodeGraph, colour: str) -> ScalarMappable:
    if colour == "cluster":
        count = int(clean.cluster.max()) + 1
        kinds = ListedColormap(list(graph_data.CLUSTERS[:count]))
        return ScalarMappable(BoundaryNorm(np.arange(count + 1) - 0.5, count), kinds)
    values = np.concatenate([getattr(graph, colour) for graph in (clean, degraded)])
    return ScalarMappable(Normalize(values.min(), values.max()), graph_data.SCALE)


def scale_ticks(clean: NodeGraph, degraded: NodeGraph, colour: str) -> dict[float, str]:
    """The ticks of the colour scale and their labels, as the page writes them."""
    values = np.concatenate([getattr(graph, colour) for graph in (clean, degraded)])
    if colour == "cluster":
        return {float(c): f"{c + 1}" for c in range(int(clean.cluster.max()) + 1)}
    if colour == "change":
        return {float(v): f"{v:.0%}".replace("%", " %") for v in np.linspace(*_span(values), 5)}
    return {float(v): f"{v}" for v in np.linspace(*_span(values), 5).round().astype(int)}


def _span(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _draw_spectrogram(panel: Axes, amplitude: np.ndarray, config: FeatureConfig) -> None:
    panel.imshow(
        190 * amplitude**1.5,
        cmap="gray",
        vmin=0,
        vmax=255,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    seconds, hertz = graph_data.second_ticks(config), hertz_ticks(config)
    panel.set_xticks([t for t, _ in seconds], [name for _, name in seconds])
    panel.set_yticks([m for m, _ in hertz], [name for _, name in hertz])
    panel.set_xlabel("time in the segment (s)")


def _draw_cells(panel: Axes, graph: NodeGraph, config: FeatureConfig) -> None:
    rows, columns = graph.grid
    if columns > 8:
        return
    style: dict[str, Any] = {"color": "white", "alpha": 0.3, "linewidth": 0.6}
    for c in range(1, columns):
        panel.axvline(c * config.window_frames / columns - 0.5, **style)
    for r in range(1, rows):
        panel.axhline(r * config.n_mels / rows - 0.5, **style)


def _draw_edges(panel: Axes, graph: NodeGraph, edges: np.ndarray, kind: str) -> None:
    places = np.stack([graph.frame, graph.mel_bin], axis=1)
    panel.add_collection(
        LineCollection(
            list(places[edges]),
            colors=graph_data.EDGES[kind],
            linestyles=_STYLES[kind],
            linewidths=0.8 if len(edges) > 50 else 1.8,
            alpha=0.8,
        ),
        autolim=False,
    )


def _draw_nodes(panel: Axes, graph: NodeGraph, colours: np.ndarray, node: int | None) -> None:
    size = 12 if graph.nodes > 200 else 40 if graph.nodes > 50 else 90
    panel.scatter(
        graph.frame, graph.mel_bin, s=size, c=colours, edgecolors="black", linewidths=0.5, zorder=3
    )
    if node is not None:
        panel.scatter(
            graph.frame[node],
            graph.mel_bin[node],
            s=3 * size,
            facecolors="none",
            edgecolors="white",
            linewidths=1.8,
            zorder=4,
        )
