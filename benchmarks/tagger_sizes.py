"""Parameters and multiply-accumulates of the taggers beside the paper's: a table for the page.

python -m benchmarks.tagger_sizes
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from grafprint.models.taggers import ATGNN, ATGNNConfig, variant

# Tables II and III of the paper: millions of parameters, and "GFLOPs", which are 10^9
# multiply-accumulates. The isotropic network without label nodes is not in them.
PAPER = {
    ("iso", True): (38.7, 14.93),
    ("pyr-s", True): (36.4, 14.72),
    ("pyr-s", False): (27.3, 12.94),
    ("pyr-med", True): (62.7, 27.2),
    ("pyr-med", False): (51.2, 24.93),
}
ALSO = [("small", True), ("small", False)]


@dataclass(frozen=True)
class Size:
    """Millions of parameters, 10^9 multiply-accumulates of a clip of the reference length."""

    parameters_m: float
    macs_g: float
    label_search_g: float  # of these, the search for each label's nearest patches


def measure(config: ATGNNConfig) -> Size:
    """Build the network and count; multiply-accumulates are counted in a real forward pass."""
    network = ATGNN(config).eval().requires_grad_(False)
    parameters = sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *config.input_shape))
    # Plain matrix products are of the relative positions only, which are kept from clip to clip.
    positions = counter.get_flop_counts()["Global"].get(torch.ops.aten.mm, 0)
    macs = (counter.get_total_flops() - positions) / 2
    return Size(parameters / 1e6, macs / 1e9, _label_search(config) / 1e9)


def _label_search(config: ATGNNConfig) -> int:
    """Multiply-accumulates of the products of all labels and all patches."""
    bins, frames = config.input_shape
    total = 0
    for stage, (blocks, width) in enumerate(zip(config.label_blocks, config.widths, strict=True)):
        patches = (bins * frames) >> (2 * (config.stem_halvings + stage))
        total += blocks * config.labels * patches * width
    return total


def measure_all() -> dict[tuple[str, bool], Size]:
    """The sizes of all networks of the table, by name and whether they have label nodes."""
    return {
        (name, label_nodes): measure(variant(name, label_nodes=label_nodes))
        for name, label_nodes in [*PAPER, *ALSO]
    }


def table(sizes: dict[tuple[str, bool], Size]) -> str:
    """A Markdown table: each network, what was counted, and the paper's figures."""
    lines = [
        "| network | label nodes | parameters (M) | paper | multiply-accumulates (G) | paper |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for (name, label_nodes), size in sizes.items():
        paper = PAPER.get((name, label_nodes))
        parameters, macs = (f"{paper[0]:.1f}", f"{paper[1]:.2f}") if paper else ("", "")
        has = "yes" if label_nodes else "no"
        lines.append(
            f"| `{name}` | {has} | {size.parameters_m:.1f} | {parameters} "
            f"| {size.macs_g:.2f} | {macs} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(measure_all()))
