"""Where the files that come with the program are: weights, demo library, music and the app.

A wheel carries them inside the package (setup.py); in a checkout, and so in an editable install,
they lie beside it.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def asset(name: str = "") -> Path:
    """A file or folder of assets/; without a name assets/ itself. It may be read-only."""
    return _folder("assets") / name


# For sample identification: a library of the demo music, beside it, so that paths are relative; its
# encoder, and the re-ranker.
SAMPLES_LIBRARY = "samples-library"
SAMPLES_ENCODER = "samples/encoder.safetensors"
SAMPLES_RERANKER = "samples/reranker.safetensors"


def where_now(file: Path) -> Path:
    """Where a file is: a bundled encoder may be remembered from an earlier installation."""
    name = Path("assets", SAMPLES_ENCODER)
    if not file.exists() and file.parts[-len(name.parts) :] == name.parts:
        return asset(SAMPLES_ENCODER)
    return file


def app_folder() -> Path:
    """The folder of the app's package, ``demo``."""
    return _folder("demo")


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name
