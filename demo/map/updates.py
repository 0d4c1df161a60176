"""What the tab Map hands to its components: the canvas's value, progress, refusals."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import numpy as np

from demo.map.chart import Chart
from demo.map.trails import Trail
from demo.studio import Studio


def arguments(given: Any, count: int) -> list[Any]:
    """The arguments of a call from the page's script, which anybody could make."""
    if not isinstance(given, list) or len(given) != count:
        raise gr.Error(f"{count} arguments are needed", print_exception=False)
    return given


def idle(idle: bool) -> tuple[Any, Any]:
    """The buttons that begin a drawing and stop it."""
    return gr.update(visible=idle), gr.update(visible=not idle)


def value(library: str, chart: Chart, paths: list[Trail]) -> str:
    """The canvas's value as JSON; the canvas requests the points if it does not have them."""
    lines = [
        {
            "colour": trail.colour,
            "points": [
                None if np.isnan(x) else [round(float(x), 5), round(float(y), 5)]
                for x, y in trail.xy
            ],
        }
        for trail in paths
    ]
    state = f"{chart.drawn.state} {len(chart.drawn)}"
    return json.dumps({"library": library, "map": state, "trails": lines})


def progress(share: float, stage: str) -> str:
    return (
        f'<progress max="1" value="{share:.3f}" aria-label="Drawing the map"></progress>'
        f"<div>{round(100 * share)} %: {stage}</div>"
    )


def refusal(error: Exception, studio: Studio, library: str) -> gr.Error:
    """The error for the visitor, with the library's name instead of its path."""
    text = str(error)
    if library in studio.names():
        for path in (studio.path(library).resolve(), studio.path(library)):
            text = text.replace(str(path), library)
    return gr.Error(f"{text[:1].upper()}{text[1:]}.", print_exception=False)
