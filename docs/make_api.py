"""Build the API pages from the docstrings, as HTML: python -m docs.make_api [--out FOLDER]

pdoc reads the modules themselves and needs no configuration or pages of its own. It renders the
Sphinx roles of the docstrings, and writes static pages with a search box.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import pdoc

MODULES = (
    "grafprint",
    "grafprint.fingerprint",
    "grafprint.tagging",
    "grafprint.library",
    "grafprint.remote.opening",
    "grafprint.remote.copying",
    "grafprint.matching",
    "grafprint.matching.live",
    "grafprint.matching.collection",
    "grafprint.matching.duplicates",
    "grafprint.matching.samples",
    "grafprint.scan",
    "grafprint.scan.export",
    "grafprint.evaluation",
    "grafprint.training",
    "grafprint.degradation",
    "grafprint.explore",
    "grafprint.audio",
    "grafprint.audio.folders",
    "grafprint.models",
    "!grafprint.models.triton_kernels",  # imports Triton, which only builds for GPUs have
    "grafprint.errors",
)


def build(out: Path) -> None:
    """Write the pages to ``out``; what pdoc warns of (an import that fails, a type) is an error."""
    pdoc.render.configure(docformat="restructuredtext", footer_text="GraFPrint")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module="pdoc")
        pdoc.pdoc(*MODULES, output_directory=out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/api"))
    arguments = parser.parse_args()
    build(arguments.out)
    print(arguments.out / "index.html")


if __name__ == "__main__":
    main()
