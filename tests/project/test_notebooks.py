"""The notebooks in docs/ run, and what is stored in them is what their cells give."""

import json
import re
from pathlib import Path

import pytest

from docs.make_notebooks import NOTEBOOKS, code_cells, run

# Less of everything, for each notebook.
QUICK: dict[str, dict[str, object]] = {
    "own_encoder": {"TRACKS": 3, "STEPS": 2, "ROOMS": 2, "QUERIES": 1, "POINTS": 100}
}
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))


def kinds(outputs: list[dict]) -> list[list[str]]:
    """The kind of each output: text printed, a value, or a figure."""
    return [[output["output_type"], *output.get("data", {})] for output in outputs]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_cells_run_and_give_what_is_stored(path: Path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell, outputs in run(notebook, **QUICK[path.stem]):
        assert kinds(outputs) == kinds(cell["outputs"]), "".join(cell["source"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    text = "\n".join(
        "".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown"
    )
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target


def test_outputs_are_those_of_jupyter():
    def code(*lines: str, **metadata: object) -> dict:
        return {
            "cell_type": "code",
            "metadata": metadata,
            "source": [f"{line}\n" for line in lines],
        }

    notebook = {
        "cells": [
            code("n = 5", tags=["parameters"]),
            {"cell_type": "markdown", "metadata": {}, "source": ["not run"]},
            code("print('one')", "print('two')", "n + 1"),
            code("import matplotlib.pyplot as plt", "plt.plot([n, 2])", "plt.show()"),
            code("n = 3"),
        ]
    }
    outputs = [outputs for _, outputs in run(notebook, n=7)]
    assert outputs[0] == outputs[3] == []
    assert outputs[1] == [
        {"name": "stdout", "output_type": "stream", "text": ["one\n", "two\n"]},
        {
            "data": {"text/plain": ["8"]},
            "execution_count": 2,
            "metadata": {},
            "output_type": "execute_result",
        },
    ]
    assert kinds(outputs[2]) == [["display_data", "image/png", "text/plain"]]
    with pytest.raises(AssertionError, match="m"):
        list(run(notebook, m=7))
    with pytest.raises(ZeroDivisionError):
        list(run({"cells": [code("1 / 0")]}))
