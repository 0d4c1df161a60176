"""The history: what was found in this visit, kept in the browser alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from demo.identify import finds
from demo.studio import Studio

_HERE = Path(__file__).parent
_TEMPLATE = (_HERE / "history.html").read_text(encoding="utf-8")
_SCRIPT = (_HERE / "history.js").read_text(encoding="utf-8")


def build(studio: Studio) -> gr.HTML:
    """The component; it adds each value that it is given, from :func:`value`, to its list."""

    def hear(find: Any) -> dict[str, str]:
        return finds.replay(studio, find)

    return gr.HTML(
        "",
        html_template=_TEMPLATE,
        js_on_load=_SCRIPT,
        server_functions=[hear],
        elem_id="history",
        padding=False,
    )


def value(find: dict[str, Any] | None) -> Any:
    """The update of the component by a find; None: no change."""
    return gr.skip() if find is None else json.dumps(find, ensure_ascii=False)
