"""The Gradio app: one module a tab, what it shows, its theme and plots beside them."""

import os

# Before Gradio is imported: it reads this once, and would otherwise call home.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
