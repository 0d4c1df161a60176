"""Files that are made for one visitor to fetch, in a folder of their own or within a link."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from html import escape
from pathlib import Path

import gradio as gr


def folder(component: gr.components.Component) -> Path:
    """A new folder in Gradio's cache, whose address nobody can guess; emptied on schedule."""
    made = Path(component.GRADIO_CACHE) / secrets.token_hex(16)
    made.mkdir(parents=True)
    return made


def links(files: Mapping[str, tuple[str, str, bytes]]) -> str:
    """Links to files that are in the links themselves: {kind: (file name, MIME type, content)}."""
    made = "".join(
        f'<a class="gp-file" download="{escape(name)}" '
        f'href="data:{mime};base64,{base64.b64encode(data).decode()}">Download {kind}</a>'
        for kind, (name, mime, data) in files.items()
    )
    return f'<div class="gp-files">{made}</div>'
