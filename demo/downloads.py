"""Visitors' files: a private folder for clips, and downloads in folders or embedded in links."""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path

import gradio as gr


def use_private_folder() -> None:
    """Keep visitors' clips in a private temporary folder, unless GRADIO_TEMP_DIR names one.

    By default, all Gradio programs on a computer share one folder, which other users can read. A
    file's path there depends only on its content, so a page that closes may delete a file that a
    visitor of another program still needs.
    """
    if not os.environ.get("GRADIO_TEMP_DIR"):
        folder = tempfile.mkdtemp(prefix="grafprint-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["GRADIO_TEMP_DIR"] = folder


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
