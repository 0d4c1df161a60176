"""The tags and graphs of a clip as JSON for the browser, which then lights up any label."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from demo import plots
from demo.plots import hertz_ticks
from demo.tags.scene import TagView, brightness, title
from grafprint.explore.tag_evidence import Evidence
from grafprint.explore.tag_graph import TagGraph, strongest_ties
from grafprint.models.features import FeatureConfig

MOST_LABELS = 12
MOST_TIES = 4


def value(view: TagView, config: FeatureConfig, note: str) -> str:
    """The component's value: the likeliest labels of both sides, and what lights up for each."""
    labels = view.graphs[0].labels
    likely = np.maximum(*(tags.probabilities for tags in view.tags))
    chosen = np.argsort(-likely, kind="stable")[:MOST_LABELS]
    # Of a window's frames; after them is silence.
    sounding = max(1, len(view.sounds[0]) // config.hop_length)
    return json.dumps(
        {
            "note": note,
            "names": view.names,
            "labels": [labels[i] for i in chosen],
            "numbers": chosen.tolist(),
            "probabilities": [_round(tags.probabilities[chosen]) for tags in view.tags],
            "times": _round(view.moments[0].middles_s, 2),
            "moments": [_round(m.values[:, chosen].T) for m in view.moments],
            "duration_s": round(view.duration_s, 2),
            "start_s": round(view.start_s, 2),
            "mels": config.n_mels,
            "frames": sounding,
            "frames_per_s": config.sample_rate_hz / config.hop_length,
            "hertz": hertz_ticks(config),
            "pictures": [
                plots.spectrogram_url(graph.spectrogram[:, :sounding], 170) for graph in view.graphs
            ],
            "maps": [
                _map([graph.evidence[n] for graph in view.graphs], chosen)
                for n in range(len(view.graphs[0].evidence))
            ],
            "ties": [_ties(view.graphs[0], int(i)) for i in chosen],
        },
        separators=(",", ":"),
    )


def _map(pair: list[Evidence], chosen: np.ndarray) -> dict[str, Any]:
    rows, columns = pair[0].grid
    light = [[_bytes(evidence.values[i]) for i in chosen] for evidence in pair]
    return {
        "name": pair[0].name,
        "title": title(pair[0]),
        "rows": rows,
        "columns": columns,
        "side": pair[0].side,
        "light": light,
    }


def _bytes(values: np.ndarray) -> list[int]:
    return np.round(255 * brightness(values)).astype(int).tolist()


def _ties(graph: TagGraph, label: int) -> list[tuple[str, float]]:
    """The labels with the strongest ties to a label, and their weights."""
    found = strongest_ties(graph, label, MOST_TIES)
    return [(graph.labels[other], round(weight, 3)) for other, weight in found]


def _round(values: np.ndarray, digits: int = 4) -> Any:
    return np.round(np.asarray(values, np.float64), digits).tolist()
