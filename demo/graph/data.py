"""The graphs of a segment as JSON for the browser, which then draws any block by itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap

from demo import plots
from demo.graph.scene import SegmentView
from demo.plots import HERTZ, hertz_ticks
from grafprint.explore.graphs import NodeGraph, compare, histogram, reach
from grafprint.models.features import FeatureConfig

# For the dark background of a spectrogram, in both themes. The clusters' colours are those of Okabe
# and Ito, which most colour-blind people can tell apart.
EDGES = {"survived": "#7dd3fc", "vanished": "#fb7185", "appeared": "#d8b4fe"}
CLUSTERS = ("#56b4e9", "#e69f00", "#2fbf8f", "#f0e442", "#cc79a7")
_VIRIDIS = colormaps["viridis"](np.linspace(0.25, 1, 6))[:, :3]  # without the darkest colours
SCALE = LinearSegmentedColormap.from_list("scale", list(_VIRIDIS))
# When zoomed in, where there is room.
FINE_HERTZ = (150, 200, 300, 400, 600, 700, 800, 1200, 1500, 2500, 3000, 3500, 4500, 5000, 6000)

NOTE = (
    "Each dot is a node: the network's features for a patch of the spectrogram in this block. It "
    "has edges to the few nodes most similar to it, wherever they are, and combines its features "
    "with theirs. Deeper blocks have fewer nodes, each for a larger patch."
)


def value(view: SegmentView, config: FeatureConfig) -> str:
    """The component's value: both spectrograms and the graphs of all blocks."""
    pairs = list(zip(*view.graphs, strict=True))
    blocks = [_block(clean, degraded, len(pairs), config) for clean, degraded in pairs]
    return json.dumps(
        {
            "note": NOTE,
            "names": view.names,
            "mels": config.n_mels,
            "frames": config.window_frames,
            "k": view.graphs[0][0].neighbours.shape[1],
            "pictures": [plots.spectrogram_url(amplitude) for amplitude in view.amplitude],
            "hertz": hertz_ticks(config) + hertz_ticks(config, FINE_HERTZ),
            "seconds": second_ticks(config) + second_ticks(config, 0.05),
            "coarse": {"hertz": len(HERTZ), "seconds": len(second_ticks(config))},
            "colours": {
                **EDGES,
                "clusters": CLUSTERS,
                "scale": np.round(255 * _VIRIDIS).astype(int).tolist(),
                "sides": (plots.TEAL, plots.AMBER),
            },
            "blocks": blocks,
        },
        separators=(",", ":"),
    )


def second_ticks(config: FeatureConfig, step_s: float = 0.25) -> list[tuple[float, str]]:
    """Frames and labels of steps of a second, by default quarters."""
    rate = config.sample_rate_hz / config.hop_length
    return [(round(s * rate, 2), f"{round(s, 2):g}") for s in np.arange(0, 1, step_s)]


def title(graph: NodeGraph, blocks: int) -> str:
    """A block in words, with its number among the network's blocks."""
    k = graph.neighbours.shape[1]
    nearest = (
        f"the {k} nearest"
        if graph.dilation == 1
        else f"{k} of the {k * graph.dilation} nearest, one in {graph.dilation}"
    )
    return (
        f"Stage {graph.stage + 1}, block {graph.number + 1} of {blocks}: {graph.nodes} nodes "
        f"({graph.grid[0]} × {graph.grid[1]}), dilation {graph.dilation} ({nearest})"
    )


def _block(
    clean: NodeGraph, degraded: NodeGraph, blocks: int, config: FeatureConfig
) -> dict[str, Any]:
    changes = compare(clean, degraded)
    rows, columns = clean.grid
    return {
        "title": title(clean, blocks),
        "rows": rows,
        "columns": columns,
        "mel": clean.mel_bin[::columns].tolist(),
        "hz": clean.frequency_hz[::columns].round(1).tolist(),
        "frame": clean.frame[:columns].tolist(),
        "seconds": clean.time_s[:columns].round(4).tolist(),
        "clusters": int(clean.cluster.max()) + 1,
        "share": round(changes.share, 4),
        "chance": round(changes.by_chance, 4),
        "survived": len(changes.survived),
        "vanished": len(changes.vanished),
        "appeared": len(changes.appeared),
        "sides": [_side(clean, changes.kept, config), _side(degraded, changes.known, config)],
    }


def _side(graph: NodeGraph, shared: np.ndarray, config: FeatureConfig) -> dict[str, Any]:
    length = reach(graph)
    return {
        "to": graph.neighbours.ravel().tolist(),
        "distance": _round(graph.distances.ravel(), 3),
        "shared": shared.ravel().astype(int).tolist(),
        "degree": graph.degree.tolist(),
        "cluster": graph.cluster.tolist(),
        "change": _round(graph.change, 3),
        "time": _round(histogram(length.time_s, config.window_s), 4),
        "mel": _round(histogram(length.mel_bins, config.n_mels), 4),
        "reach_s": round(float(length.time_s.mean()), 3),
        "reach_mel": round(float(length.mel_bins.mean()), 2),
        "reach_octaves": round(float(length.octaves.mean()), 2),
    }


def _round(values: np.ndarray, digits: int) -> list[float]:
    return [round(float(v), digits) for v in values]
