"""The Gradio app: one package per tab, and beside them what the tabs share."""

import os

# Gradio reads this once, when it is imported, and would otherwise send usage statistics.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
