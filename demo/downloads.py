"""Files that are made for one visitor to fetch."""

from __future__ import annotations

import secrets
from pathlib import Path

import gradio as gr


def folder(button: gr.DownloadButton) -> Path:
    """A new folder in Gradio's cache, whose address nobody can guess; emptied on schedule."""
    made = Path(button.GRADIO_CACHE) / secrets.token_hex(16)
    made.mkdir(parents=True)
    return made
