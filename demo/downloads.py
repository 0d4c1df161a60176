"""Files that are made for one visitor to fetch."""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr


def folder(component: gr.components.Component) -> Path:
    """A new folder in Gradio's cache, whose address nobody can guess; emptied on schedule."""
    made = Path(component.GRADIO_CACHE) / secrets.token_hex(16)
    made.mkdir(parents=True)
    return made
