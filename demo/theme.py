"""Theme, style sheets and the scripts in the page's head."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

_HERE = Path(__file__).parent

# System fonts only: a web font would be loaded from another host. Text has a contrast of 4.5:1 to
# what is behind it, the outline of a control 3:1; Soft's own greys and teals have less.
THEME = gr.themes.Soft(
    primary_hue="teal",
    secondary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    background_fill_primary="*neutral_50",  # Soft's own value, which set() would turn white
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
    link_text_color_hover="*primary_800",
    link_text_color_hover_dark="*primary_200",
    link_text_color_visited="*primary_700",
    link_text_color_visited_dark="*primary_300",
    link_text_color_active="*primary_800",
    link_text_color_active_dark="*primary_200",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    button_primary_border_color="*primary_700",
    button_primary_border_color_dark="*primary_400",
    button_border_width="1px",
    button_secondary_border_color="*neutral_500",
    button_secondary_border_color_dark="*neutral_400",
    button_secondary_border_color_hover="*neutral_700",
    button_secondary_border_color_hover_dark="*neutral_200",
    button_secondary_background_fill_hover_dark="*primary_700",
    block_label_background_fill="*neutral_100",
    block_label_background_fill_dark="*neutral_700",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_100",
    input_border_width="1px",
    input_border_color="*neutral_500",
    input_border_color_dark="*neutral_400",
    input_border_color_focus="*primary_700",
    input_border_color_focus_dark="*primary_300",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_300",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_300",
    checkbox_border_color_hover="*neutral_700",
    checkbox_border_color_hover_dark="*neutral_200",
    checkbox_border_color_selected="white",
    checkbox_border_color_selected_dark="white",
    checkbox_border_width_dark="1px",
    checkbox_label_background_fill_selected="*primary_700",
    checkbox_label_background_fill_selected_dark="*primary_700",
    slider_color="*primary_700",
    slider_color_dark="*primary_400",
)
CSS = "\n".join(path.read_text(encoding="utf-8") for path in sorted(_HERE.rglob("*.css")))
HEAD = "".join(
    f"<script>\n{(_HERE / name).read_text(encoding='utf-8')}</script>"
    for name in ("microphone.js", "shell.js", "footer.js")
)
