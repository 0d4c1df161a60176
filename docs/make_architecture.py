"""Draw docs/figures/architecture.png: the wings on their floors, and which imports which.

    python -m docs.make_architecture

Floors and arrows come from tests/project/test_layers.py, which reads the imports. Run it again when
a test says that the picture is out of date.
"""

from __future__ import annotations

from pathlib import Path

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tests.project.test_layers import FACE, FLOORS, IMPORTS, wing_of

FIGURE = Path(__file__).parent / "figures" / "architecture.png"
INK, FAINT, FILL, EDGE = "#1f2937", "#6b7280", "#eef2ff", "#4f46e5"
WIDTH, HEIGHT = 1.9, 0.62  # of a box
# Where on its floor each wing is drawn, and what for.
WINGS = {
    "__main__": (5.5, "python -m grafprint"),
    "cli": (5.5, "commands"),
    "scan": (3.5, "long or endless audio"),
    "evaluation": (5.5, "hit rates"),
    "explore": (1.2, "graphs, maps"),
    "matching": (5.5, "which track, where"),
    "training": (9.0, "train, distil"),
    "remote": (1.2, "a collection on servers"),
    "library": (3.0, "a collection on disk"),
    "fingerprint": (4.0, "audio to fingerprints"),
    "tagging": (9.0, "audio to labels"),
    "degradation": (6.8, "noise, rooms, codecs"),
    "models": (4.0, "features, encoders"),
    "audio": (7.0, "files, microphone"),
    "files": (1.2, "atomic writes"),
    "jit": (3.0, "numba"),
    "threads": (5.0, "prefetch, parallel"),
    "errors": (7.0, "exceptions"),
    "bundled": (9.0, "where assets are"),
}


def arrows() -> list[tuple[str, str]]:
    """Which wing imports which, without the arrows that follow from others."""
    # A list: NetworkX would take an error within a generator for an empty graph.
    pairs = [
        (wing_of(module), wing_of(target))
        for module, targets in IMPORTS.items()
        for target in targets
        if target != FACE and wing_of(module) != wing_of(target)
    ]
    return sorted(nx.transitive_reduction(nx.DiGraph(pairs)).edges)


def facts() -> str:
    """What the picture shows, as text: stored in the file, so that a test can compare."""
    floors = "; ".join(", ".join(sorted(floor)) for floor in FLOORS)
    return f"{floors} | " + ", ".join(f"{upper} > {lower}" for upper, lower in arrows())


def draw() -> Figure:
    """The picture: the top floor on top."""
    places = {
        wing: (WINGS[wing][0], -float(number))
        for number, floor in enumerate(FLOORS)
        for wing in floor
    }
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(0.1, 10.1), ylim=(0.5 - len(FLOORS), 0.5))
    axes.axis("off")
    for number in range(len(FLOORS)):
        if number % 2:
            axes.axhspan(-number - 0.5, 0.5 - number, color="#f8fafc", zorder=0)
    for upper, lower in arrows():
        (x, y), (to_x, to_y) = places[upper], places[lower]
        axes.annotate(
            "",
            (to_x, to_y + HEIGHT / 2),
            (x, y - HEIGHT / 2),
            arrowprops={"arrowstyle": "-|>", "color": FAINT, "shrinkA": 0, "shrinkB": 0},
        )
    for wing, (x, y) in places.items():
        _box(axes, wing, x, y)
    return figure


def _box(axes: Axes, wing: str, x: float, y: float) -> None:
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, style, fc=FILL, ec=EDGE, zorder=2))
    axes.text(x, y + 0.12, wing, ha="center", va="center", color=INK, weight="bold", zorder=3)
    axes.text(x, y - 0.15, WINGS[wing][1], ha="center", va="center", color=FAINT, size=9, zorder=3)


def main() -> None:
    draw().savefig(FIGURE, dpi=90, facecolor="white", metadata={"Description": facts()})


if __name__ == "__main__":
    main()
