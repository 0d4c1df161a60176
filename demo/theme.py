"""Theme, style sheets and the scripts in the page's head."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_HERE = Path(__file__).parent

# System fonts only: a web font would be loaded from another host. The darker teal and the grey
# labels add contrast: white on Soft's own teal is hard to read.
THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    background_fill_primary="*neutral_50",  # Soft's own value, which set() would turn white
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    block_label_background_fill="*neutral_100",
    block_label_background_fill_dark="*neutral_700",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_100",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
)
CSS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_HERE.rglob("*.css")))
HEAD = "".join(
    f"<script>\n{(_HERE / name).read_text(encoding='utf-8')}</script>"
    for name in ("microphone.js", "shell.js")
)
