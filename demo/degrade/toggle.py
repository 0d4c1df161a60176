"""Switch between the clean and the degraded clip by ear, at the same moment of the music."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_TEMPLATE = (
    '<div class="gp-small">Switch between the two at the same moment; it plays in a loop</div>'
    '<div class="gp-ab" role="group" aria-label="Clean or degraded">'
    '<button type="button" class="play">Play</button>'
    '<button type="button" data-which="clean" aria-pressed="false">Clean</button>'
    '<button type="button" data-which="degraded" aria-pressed="true">Degraded</button>'
    '<progress max="1" value="0" aria-label="Playback position"></progress></div>'
)
_SCRIPT = (Path(__file__).parent / "toggle.js").read_text(encoding="utf-8")


def build() -> gr.HTML:
    """The component; its value is the clean clip as a data URI.

    The degraded one is what the player with the id ``degraded-sound`` offers to download.
    """
    return gr.HTML(
        "", html_template=_TEMPLATE, js_on_load=_SCRIPT, elem_id="clean-or-degraded", padding=False
    )
