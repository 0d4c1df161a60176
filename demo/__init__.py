"""The Gradio app: one module a tab, theme and plots beside them."""
