"""A player without controls: what plays is chosen on a picture."""

from __future__ import annotations

import json
import time

import gradio as gr
import numpy as np

from demo import clips

_HTML = "<audio></audio>"  # without controls, so nothing is seen
_SCRIPT = """watch('value', () => {
    const audio = element.querySelector('audio');
    audio.src = JSON.parse(props.value).sound;
    audio.play();
});"""


def build(elem_id: str) -> gr.HTML:
    """The component; it plays what :func:`value` gives it."""
    return gr.HTML("", html_template=_HTML, js_on_load=_SCRIPT, elem_id=elem_id, padding=False)


def value(samples: np.ndarray) -> str:
    """Samples ``[n]`` to play, also if they were played last."""
    return json.dumps({"sound": clips.wav_uri(samples), "time": time.monotonic_ns()})
