"""Run the notebooks in docs/notebooks and store what their cells give.

    python -m docs.make_notebooks

Run it again after a cell or what it shows has changed, and look at the results. It does what
Jupyter's *Run all* does, without needing Jupyter: what a cell prints, its last value and its
Matplotlib figures become its outputs.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

NOTEBOOKS = Path(__file__).parent / "notebooks"
SETTINGS = "parameters"  # tag of the cell whose values a caller may change
DPI = 80

Cell = dict[str, Any]


def code_cells(notebook: dict[str, Any]) -> list[Cell]:
    """The cells with code, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run(notebook: dict[str, Any], **settings: object) -> Iterator[tuple[Cell, list[Cell]]]:
    """Run the cells in order; yields each with its outputs, in the notebook's format.

    ``settings`` replace values of the cell with the tag ``parameters``. An error in a cell is
    raised.
    """
    matplotlib.use("agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(notebook), 1):
        outputs = _run("".join(cell["source"]), f"cell {number}", names)
        if SETTINGS in cell["metadata"].get("tags", []):
            unknown = settings.keys() - names.keys()
            assert not unknown, unknown
            names |= settings
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
        yield cell, outputs


def _run(source: str, name: str, names: dict[str, Any]) -> list[Cell]:
    """Run the code of a cell; the outputs that Jupyter would show."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # plt.show()
        exec(compile(tree, name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), names)
    outputs: list[Cell] = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(text)})
    outputs += _figures()
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        outputs.append({"data": data, "metadata": {}, "output_type": "execute_result"})
    return outputs


def _figures() -> list[Cell]:
    """The figures that Matplotlib has open, which are closed."""
    from matplotlib import pyplot

    outputs = []
    for number in pyplot.get_fignums():
        figure, file = pyplot.figure(number), io.BytesIO()
        figure.savefig(file, format="png", dpi=DPI, bbox_inches="tight")
        data = {
            "image/png": base64.b64encode(file.getvalue()).decode(),
            "text/plain": [repr(figure)],
        }
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    pyplot.close("all")
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for number, (cell, outputs) in enumerate(run(notebook), 1):
            cell["outputs"], cell["execution_count"] = outputs, number
            print(f"{path.name}: {number} of {len(code_cells(notebook))} cells", flush=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
