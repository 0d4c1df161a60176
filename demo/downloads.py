"""Files for one visitor to download: in a private folder, or embedded in a link."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from html import escape
from pathlib import Path

import gradio as gr


def folder(component: gr.components.Component) -> Path:
    """A new folder in Gradio's cache with an unguessable name; Gradio deletes old files in it."""
    path = Path(component.GRADIO_CACHE) / secrets.token_hex(16)
    path.mkdir(parents=True)
    return path


def links(files: Mapping[str, tuple[str, str, bytes]]) -> str:
    """Links with embedded files, from {kind: (file name, MIME type, content)}."""
    anchors = "".join(
        f'<a class="gp-file" download="{escape(name)}" '
        f'href="data:{mime};base64,{base64.b64encode(data).decode()}">Download {kind}</a>'
        for kind, (name, mime, data) in files.items()
    )
    return f'<div class="gp-files">{anchors}</div>'
